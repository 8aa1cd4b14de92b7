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
written() {
    set -- "${d:-/var/lib/nlbwmon}"/[12][0-9][0-9][0-9][0-9][0-9][0-9][0-9].db*
    [ $# -le 100 ] || shift $(($# - 100))
    for f; do [ -e "$f" ] && echo "$(date -r "$f" +%s) $f"; done
}
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
names() { head -n 10000 /tmp/dhcp.leases; }
hosts() { cat /etc/hosts /tmp/hosts/* | grep -Ev '^[[:space:]]*(#|$|0\.0\.0\.0|127\.|::1?[[:space:]])' | head -n 10000; }
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
