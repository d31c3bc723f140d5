#!/usr/bin/env bash
# Builds the Debian package in target/debian and prints where it is: of the
# release, which it builds, or of a program that is named, for a test.
set -euo pipefail
cd "$(dirname "$0")/../.."

deb=target/tools/bin/cargo-deb
[ -x "$deb" ] || cargo install --quiet --locked --root target/tools cargo-deb

fast=()
if [ $# -gt 0 ]; then
    program=$1
    # It is thrown away soon.
    fast=(--fast)
else
    cargo build --release --locked --bin warrantyd
    program=target/release/warrantyd
fi
rm -rf target/package
"$program" generate target/package
strip --remove-section=.comment --remove-section=.note -o target/package/warrantyd "$program"
gzip -9n <templates/system/debian/changelog >target/package/changelog.Debian.gz
"$deb" --no-build --no-strip --no-dbgsym --quiet "${fast[@]}"
