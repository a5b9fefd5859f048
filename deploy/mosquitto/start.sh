#!/bin/sh
# Makes the files of passwords and access rules from the environment, then becomes the broker. Runs as any user; writes to
# $RUN_DIR only.
#   INGEST_PASSWORD   password of the user `ingest`
#   PUBLISH_PASSWORD  password of the user `publish`, which gives the twin's figures out; none: it can't log in
#   EDGE_USER, EDGE_PASSWORD   the first gateway, as <party>/<device>; left out when its password is empty
#   MORE_EDGES        further gateways, and parties' own readers: <party>/<device>:<password>, with blanks between
# Passwords never stand on a command line: mosquitto_passwd hashes them inside the file.
set -eu
umask 077
RUN_DIR="${RUN_DIR:-/run/mosquitto}"
CONFIG="${CONFIG:-/mosquitto/config/mosquitto.conf}"

fail() {
    echo "mosquitto/start.sh: $1" >&2
    exit 2
}

entry() {
    case "$1" in
    */*/* | /* | */) fail "'$1' is no gateway's user name; write <party>/<device>." ;;
    */* | ingest | publish | health) ;;
    *) fail "'$1' is no gateway's user name; write <party>/<device>." ;;
    esac
    case "$1" in *[!a-z0-9_/-]*) fail "'$1' has a sign that no party's or device's id has." ;; esac
    case "$2" in '') fail "the password of '$1' is empty; set it in .env." ;; *:*) fail "the password of '$1' has a colon in it." ;; esac
    printf '%s:%s\n' "$1" "$2" >>"$RUN_DIR/passwords"
    # Mosquitto's patterns know the whole user name but not the party in it, so each login gets a rule of its own.
    case "$1" in
    */*) printf '\nuser %s\ntopic read sidestream/v1/+/%s/twin/#\n' "$1" "${1%%/*}" >>"$RUN_DIR/acl" ;;
    esac
}

health_password="$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')"
rm -f "$RUN_DIR/passwords" "$RUN_DIR/acl"
cp "$(dirname "$0")/acl" "$RUN_DIR/acl"
entry ingest "${INGEST_PASSWORD:-}"
if [ -n "${PUBLISH_PASSWORD:-}" ]; then
    entry publish "$PUBLISH_PASSWORD"
fi
entry health "$health_password"
if [ -n "${EDGE_PASSWORD:-}" ]; then
    entry "${EDGE_USER:-}" "$EDGE_PASSWORD"
fi
for edge in ${MORE_EDGES:-}; do
    case "$edge" in *:*) ;; *) fail "MORE_EDGES: write <party>/<device>:<password>, with blanks between." ;; esac
    entry "${edge%%:*}" "${edge#*:}"
done
mosquitto_passwd -U "$RUN_DIR/passwords"

# mosquitto_sub takes its options from here in the health check, so that no password stands on its command line either.
printf '%s\n' '-h 127.0.0.1' '-p 1884' '-u health' "-P $health_password" >"$RUN_DIR/mosquitto_sub"
unset INGEST_PASSWORD PUBLISH_PASSWORD EDGE_PASSWORD MORE_EDGES health_password

exec mosquitto -c "$CONFIG"
