#!/bin/sh
# Gives every empty *_PASSWORD= line of .env a random value of its own and leaves the rest alone; safe to run again.
set -eu
umask 077
file="${1:-.env}"
[ -f "$file" ] || { echo "make-secrets.sh: there is no $file; copy .env.example to it first." >&2; exit 2; }
filled="$(mktemp "$file.XXXXXX")"
trap 'rm -f "$filled"' EXIT
while IFS= read -r line || [ -n "$line" ]; do
    case "$line" in
    '#'*) ;;
    *_PASSWORD=) line="$line$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n')" ;;
    esac
    printf '%s\n' "$line"
done <"$file" >"$filled"
mv "$filled" "$file"
chmod 600 "$file"
