exec </dev/null 2>/dev/null
PATH=$PATH:/usr/sbin:/usr/bin:/sbin:/bin
q() { n=$1; shift; printf '\n%s< %s\n' "$token" "$n"; "$@"; printf '\n%s> %s\n' "$token" "$?"; }
settings() {
    echo "section=$(uci -q get "nlbwmon.@nlbwmon[0]")"
    for k in database_interval refresh_interval database_directory database_limit; do
        echo "$k=$(uci -q get "nlbwmon.@nlbwmon[0].$k")"
    done
}
d=$(uci -q get "nlbwmon.@nlbwmon[0].database_directory")
facts() {
    q "date-$1" date '+%s %z'
    q "boot-$1" cat /proc/sys/kernel/random/boot_id
    q "pid-$1" pidof nlbwmon
    q "stat-$1" started
    q "scratch-$1" ls -i /tmp/0.db
    q "files-$1" written
}
started() { for p in $(pidof nlbwmon); do cat "/proc/$p/stat"; done; cat /proc/uptime; }
written() { for f in "${d:-/var/lib/nlbwmon}"/*.db*; do [ -e "$f" ] && echo "$(date -r "$f" +%s) $f"; done; }
period() { m=${1#????}; q "period-$1" nlbw -c "$form" -t "${1%????}-${m%??}-${m#??}"; }
links() {
    for p in /sys/class/net/*; do
        n=${p##*/}
        case $n in *[!0-9A-Za-z._-]*) continue ;; esac
        i=$(cat "$p/ifindex") || continue
        s=$(cat "$p/speed")
        echo "$n $i ${s:--1}"
    done
}
routes() {
    grep -E '^[^[:space:]]+[[:space:]]00000000[[:space:]]' /proc/net/route
    grep -E '^0{32} 00 ' /proc/net/ipv6_route
}
names() { cat /tmp/dhcp.leases; }
hosts() { cat /etc/hosts /tmp/hosts/*; }
q settings settings
facts before
for label in $labels; do period "$label"; done
q rows nlbw -c "$form"
facts after
q interfaces ubus call network.interface dump
q net cat /proc/net/dev
q links links
q routes routes
q names names
q hosts hosts
