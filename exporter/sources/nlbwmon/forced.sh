#!/bin/sh
# What a key of the Bandwidth Exporter runs on a router, whatever it asks for. As /etc/bandwidth-exporter, executable:
#   restrict,command="/etc/bandwidth-exporter" ssh-ed25519 AAAA...
# Nothing that comes over the wire is run: its first line names a token, a format and periods, and each is checked.
refuse() {
    echo "bandwidth-exporter: $1" >&2
    exit 126
}
newline='
'
set -f
IFS=' '
set -- ${SSH_ORIGINAL_COMMAND%%"$newline"*}
[ "$1 $2" = ": bandwidth-exporter" ] || refuse "this key serves the exporter only"
[ "$3" = 1 ] || refuse "only requests of version 1 are known here; install the exporter's newer command"
token=$4 form=$5
case $token in *[!0123456789abcdef]*) refuse "no such token" ;; esac
[ "${#token}" -eq 32 ] || refuse "no such token"
case $form in json | csv) ;; *) refuse "no such format" ;; esac
shift 5
[ $# -le 40 ] || refuse "too many periods"
for label; do
    case $label in *[!0123456789]*) refuse "no such period" ;; esac
    [ "${#label}" -eq 8 ] || refuse "no such period"
done
labels=$*
set +f
IFS=' 	'$newline
