#!/bin/sh
# Makes the password file from the environment, then becomes the broker. Runs as any user; writes to $RUN_DIR only.
#   INGEST_PASSWORD   password of the user `ingest`
#   EDGE_USER, EDGE_PASSWORD   the first gateway, as <party>/<device>; left out when its password is empty
#   MORE_EDGES        further gateways: <party>/<device>:<password>, with blanks between
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
    */* | ingest | health) ;;
    *) fail "'$1' is no gateway's user name; write <party>/<device>." ;;
    esac
    case "$1" in *[!a-z0-9_/-]*) fail "'$1' has a sign that no party's or device's id has." ;; esac
    case "$2" in '') fail "the password of '$1' is empty; set it in .env." ;; *:*) fail "the password of '$1' has a colon in it." ;; esac
    printf '%s:%s\n' "$1" "$2" >>"$RUN_DIR/passwords"
}

health_password="$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')"
rm -f "$RUN_DIR/passwords"
entry ingest "${INGEST_PASSWORD:-}"
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
unset INGEST_PASSWORD EDGE_PASSWORD MORE_EDGES health_password

exec mosquitto -c "$CONFIG"
