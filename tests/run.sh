#!/usr/bin/env bash
# Installs what is missing on a Debian machine with a Rust toolchain, then runs
# every check and every test. --full adds the slow campaigns.
set -euo pipefail
cd "$(dirname "$0")/.."

full=no
case "${1-}" in
"") ;;
--full) full=yes ;;
*)
    echo "usage: tests/run.sh [--full]" >&2
    exit 2
    ;;
esac

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# The packages that the build and the tests need: a C compiler for SQLite,
# Python for a mail server and readers that are not ours, a spreadsheet that
# reads the reports, a browser for the letters, another clock for the daemon,
# PostgreSQL's server, which the tests start for themselves, and what judges the
# units and the Debian package. Postfix and the package need root: the tests ask
# sudo for it.
missing=()
command -v cc >/dev/null || missing+=(build-essential)
python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3 python3-venv)
command -v chromium >/dev/null || missing+=(chromium)
compgen -G '/usr/lib/*/faketime/libfaketime.so.1' >/dev/null || missing+=(libfaketime)
command -v soffice >/dev/null || missing+=(libreoffice-calc-nogui)
compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || command -v initdb >/dev/null ||
    missing+=(postgresql)
command -v systemd-analyze >/dev/null || missing+=(systemd)
for program in lintian debootstrap man; do
    command -v "$program" >/dev/null || [ -x "/usr/sbin/$program" ] ||
        missing+=("${program/%man/man-db}")
done
if [ "${#missing[@]}" -gt 0 ]; then
    echo "installing ${missing[*]}"
    as_root apt-get update -q
    as_root apt-get install -yq --no-install-recommends "${missing[@]}"
fi
for component in rustfmt clippy; do
    cargo "${component#rust}" --version >/dev/null 2>&1 || rustup component add "$component"
done
if ! target/venv/bin/python -c 'import aiosmtpd, cryptography, pandas, prometheus_client, pypdf' 2>/dev/null; then
    mkdir -p target
    python3 -m venv --clear target/venv
    target/venv/bin/pip install -q --disable-pip-version-check \
        aiosmtpd==1.4.6 cryptography pandas==3.1.1 prometheus_client==0.26.0 pypdf==7.1.0
fi

# Postfix is unpacked, not installed: it would take the place of the machine's
# own mail server.
if [ ! -x target/postfix/usr/sbin/smtp-sink ]; then
    echo "unpacking Postfix"
    mkdir -p target/postfix
    as_root apt-get update -q
    (cd target/postfix && apt-get download -q postfix && dpkg -x postfix_*.deb .)
    libraries=$(dpkg-deb -f target/postfix/postfix_*.deb Depends | tr ',' '\n' | grep '^ *lib')
    as_root apt-get satisfy -yq --no-install-recommends "$(paste -sd, <<<"$libraries")"
fi

# What the package is made with, and a root that it is installed in.
if [ ! -x target/tools/bin/cargo-deb ]; then
    cargo install --quiet --locked --root target/tools cargo-deb
fi
if [ ! -d target/debian-root ]; then
    echo "making a Debian of its own to install the package in"
    as_root rm -rf target/debian-root.part
    as_root debootstrap --variant=minbase \
        --include=systemd-standalone-sysusers,systemd-standalone-tmpfiles \
        bookworm target/debian-root.part
    as_root mv target/debian-root.part target/debian-root
fi

step() { printf '\n== %s\n' "$*"; }

step cargo fmt --check
cargo fmt --check
step cargo clippy
cargo clippy --all-targets --locked -- -D warnings
step cargo doc
RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --locked
# More generated cases, a million rows, and every point to be killed at.
if [ "$full" = yes ]; then export WARRANTYD_FULL=1; fi
step cargo test
cargo test --locked
step cargo test, with shops on PostgreSQL
# Without what has no database, or one of a named engine. Half of the time they
# wait for the server.
WARRANTYD_TEST_ENGINE=postgres cargo test --locked --test it -- \
    --test-threads $((2 * $(nproc))) \
    --skip case:: --skip demo:: --skip letters::no_letter --skip package:: --skip page:: --skip readers::others --skip reconnect:: --skip standby:: --skip work:: --skip sqlite
