#!/usr/bin/env bash
# Measures warrantyd against its peers and prints a table (README, "Speed").
# Installs what is missing on a Debian machine with a Rust toolchain.
#
#   tests/bench/run.sh [--rows N | --full] [--only NAME…] [--times N] [--dir DIR]
set -euo pipefail
cd "$(dirname "$0")/../.."

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

missing=()
command -v cc >/dev/null || missing+=(build-essential)
command -v sqlite3 >/dev/null || missing+=(sqlite3)
ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || missing+=(postgresql)
python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3 python3-venv)
if [ "${#missing[@]}" -gt 0 ]; then
    echo "installing ${missing[*]}"
    as_root apt-get update -q
    as_root apt-get install -yq --no-install-recommends "${missing[@]}"
fi

tools=$PWD/target/bench
mkdir -p "$tools"
if ! "$tools/venv/bin/python" -c 'import psycopg' 2>/dev/null; then
    python3 -m venv --clear "$tools/venv"
    "$tools/venv/bin/pip" install -q --disable-pip-version-check 'psycopg[binary]==3.2.*'
fi

# smtp-sink and smtp-source are unpacked, not installed: a mail server would
# take the place of the machine's own.
if ! command -v smtp-sink >/dev/null; then
    if [ ! -x "$tools/postfix/usr/sbin/smtp-sink" ]; then
        echo "unpacking smtp-sink and smtp-source"
        as_root apt-get update -q
        (cd "$tools" && apt-get download -q postfix && dpkg -x postfix_*.deb postfix)
        libraries=$(dpkg-deb -f "$tools"/postfix_*.deb Depends | tr ',' '\n' | grep '^ *lib')
        as_root apt-get satisfy -yq --no-install-recommends "$(paste -sd, <<<"$libraries")"
    fi
    export PATH=$PATH:$tools/postfix/usr/sbin
    export LD_LIBRARY_PATH=$tools/postfix/usr/lib/postfix
fi

cargo build --release --locked
exec "$tools/venv/bin/python" tests/bench/main.py \
    --binary target/release/warrantyd --json "$tools/measures.json" "$@"
