#!/bin/sh
# The first start makes every password, each 32 random characters in a file that one service alone may read. Later
# starts change nothing.
set -eu
cd /passwords

# In one step, so that a start that is cut off leaves no half a password. The group may read it: `pin` runs as you, and
# with the exporter's group.
write() { # FILE OWNER PASSWORD
    rm -f "$1.new"
    (umask 0227 && printf %s "$3" >"$1.new")
    chown "$2:$2" "$1.new"
    mv -f "$1.new" "$1"
}

# Two files where two services have to know it. The first one is written last: where it is, both are.
password() { # FILE OWNER [FILE OWNER]
    [ -e "$1" ] && return
    made=$(head -c 24 /dev/urandom | base64 | tr -- '+/' '-_')
    [ $# -eq 2 ] || write "$3" "$4" "$made"
    write "$1" "$2" "$made"
}

postgres=999 grafana=472 exporter=10477
password grafana/admin $grafana
password postgres/superuser $postgres
password postgres/owner $postgres owner/password $exporter
password postgres/exporter $postgres exporter/archive $exporter
password postgres/grafana $postgres grafana/postgres $grafana

echo "Grafana's user is admin. This shows the password of its first start:"
echo "    docker compose exec grafana cat /run/secrets/admin"
