#!/bin/sh
# The first start makes every password, each 32 random characters in a file of its own. Later starts change nothing.
set -eu
cd /passwords

new() {
    [ -s "$1" ] && return
    # In one step, so that a start that is cut off leaves no half a password.
    head -c 24 /dev/urandom | base64 | tr -- '+/' '-_' | tr -d '\n' >"$1.new"
    chmod 0444 "$1.new"
    mv "$1.new" "$1"
}

# Who has to know it from two sides finds it in the volumes of both.
same() {
    [ -s "$2" ] && return
    cp "$1" "$2.new"
    chmod 0444 "$2.new"
    mv "$2.new" "$2"
}

new grafana/admin
new postgres/superuser
new postgres/owner
new postgres/exporter
new postgres/grafana
same postgres/exporter exporter/archive
same postgres/grafana grafana/postgres

echo "Grafana's user is admin. This shows the password of its first start:"
echo "    docker compose exec grafana cat /run/secrets/admin"
