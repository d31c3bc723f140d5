# Installs, upgrades, removes and purges the Debian package in a root that is
# thrown away. It needs root, to be another system's.
#
# package.sh DEB PROGRAM: lintian, systemd and dpkg judge the package, and the
# manual's steps without one are typed in.
set -euo pipefail
[ "$(id -u)" = 0 ] || exec sudo -n bash "$0" "$@"
# What is mounted goes with the script.
[ -n "${APART-}" ] || APART=1 exec unshare --mount bash "$0" "$@"
cd "$(dirname "$0")/.."

first=$1 program=$2
base=target/debian-root
work=$(mktemp -d)
root=$work/root
trap 'umount "$root/proc" || true; rm -rf --one-file-system "$work"' EXIT

# Whatever fails says where.
trap 'echo "tests/package.sh:$LINENO: $BASH_COMMAND" >&2' ERR

# fails TEXT COMMAND…: it must.
fails() {
    local what=$1
    shift
    if "$@"; then
        echo "$what" >&2
        return 1
    fi
}

inside() { env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C chroot "$root" "$@"; }
as_warrantyd() { env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot --userspec=warrantyd:warrantyd "$root" "$@"; }
mode() { inside stat -c '%A %U:%G' "$1"; }
is() {
    if [ "$1" != "$2" ]; then
        printf 'found:\n%s\nexpected:\n%s\n' "$1" "$2" >&2
        return 1
    fi
}
# All files that are not in the package manager's own books.
files() {
    (cd "$root" && find . -xdev ! -path './var/lib/dpkg/*' ! -path './tmp/*' \
        ! -path './var/log/*' | sort)
}

[ -d "$base" ] || { echo "there is no $base: run \`bash tests/run.sh\`" >&2; exit 1; }
cp -a "$base" "$root"
mount -t proc proc "$root/proc"

lintian --allow-root --fail-on error,warning,info "$first"

# The next version, which is the same but for its number.
dpkg-deb -R "$first" "$work/next"
sed -i 's/^Version: .*/Version: 0.1.0-2/' "$work/next/DEBIAN/control"
dpkg-deb -Zgzip -z1 -b "$work/next" "$root/tmp/next.deb" >/dev/null
cp "$first" "$root/tmp/first.deb"

before=$(files)
install() { inside dpkg -i "/tmp/$1.deb" >"$work/log" 2>&1 || { cat "$work/log" >&2; return 1; }; }

# == It is installed, and does nothing to anybody yet.
install first
is "$(inside getent passwd warrantyd | cut -d: -f5-)" \
    "warrantyd, the warranty clocks:/var/lib/warrantyd:/usr/sbin/nologin"
is "$(mode /etc/warrantyd)" "drwxr-x--- root:warrantyd"
is "$(mode /etc/warrantyd/warrantyd.toml)" "-rw-r----- root:warrantyd"
is "$(mode /var/lib/warrantyd)" "drwxr-x--- warrantyd:warrantyd"
is "$(mode /usr/bin/warrantyd)" "-rwxr-xr-x root:root"
config=$root/etc/warrantyd/warrantyd.toml
grep -qx 'transport = "file"' "$config"
grep -qx "live_from = $(date -u +%F)" "$config"
wants=$root/etc/systemd/system/multi-user.target.wants/warrantyd.service
[ -L "$wants" ]
for unit in warrantyd.service warrantyd@.service; do
    # On this machine the program is elsewhere.
    of_root=$work/${unit/@/@shop}
    sed "s|=/usr/bin/|=$root/usr/bin/|" "$root/lib/systemd/system/$unit" >"$of_root"
    is "$(systemd-analyze --man=no verify "$of_root" 2>&1 | grep warrantyd)" ""
done

# == It works as its user, who cannot touch the config; others see nothing.
# Root looks first, and takes nothing from it.
inside warrantyd status >/dev/null
is "$(mode /var/lib/warrantyd/warrantyd.db | cut -d' ' -f2)" warrantyd:warrantyd
as_warrantyd warrantyd --config /etc/warrantyd/warrantyd.toml init |
    grep -x 'the database is /var/lib/warrantyd/warrantyd.db' >/dev/null
as_warrantyd warrantyd status >/dev/null
as_warrantyd warrantyd doctor >"$work/doctor" || { cat "$work/doctor" >&2; exit 1; }
# What root does by hand keeps it from nothing.
echo order_ref,customer_ref,customer_email,placed_at,currency,total >"$root/tmp/orders.csv"
inside warrantyd import /tmp/orders.csv >/dev/null
is "$(mode /var/lib/warrantyd/warrantyd.db.import.lock | cut -d' ' -f2)" warrantyd:warrantyd
as_warrantyd warrantyd run deliver
fails "the service writes its config" as_warrantyd sh -c 'echo >>/etc/warrantyd/warrantyd.toml' 2>"$work/log"
fails "others read the state" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot --userspec=nobody:nogroup "$root" \
    /bin/ls /var/lib/warrantyd >"$work/log" 2>&1
is "$(mode /var/lib/warrantyd/warrantyd.db | cut -d' ' -f2)" warrantyd:warrantyd
inside test -d /var/lib/warrantyd/outbox

# == Its papers.
for command in run import report policy-try mail-list; do
    [ -s "$root/usr/share/man/man1/warrantyd-$command.1.gz" ]
done
zcat "$root/usr/share/man/man5/warrantyd.toml.5.gz" | grep '^\[database\]' >/dev/null
cmp crontab.example "$root/usr/share/doc/warrantyd/examples/crontab"
bash -n "$root/usr/share/bash-completion/completions/warrantyd"
bash -c "source '$root/usr/share/bash-completion/completions/warrantyd'
    COMP_WORDS=(warrantyd sta) COMP_CWORD=1; _warrantyd warrantyd sta warrantyd
    printf '%s\n' \"\${COMPREPLY[@]}\"" | grep -x status >/dev/null

# == An upgrade keeps what the administrator did.
echo '# mine' >>"$config"
rm "$wants"
install next
is "$(inside dpkg-query -W warrantyd)" "warrantyd	0.1.0-2"
is "$(tail -n 1 "$config")" "# mine"
is "$(mode /etc/warrantyd/warrantyd.toml)" "-rw-r----- root:warrantyd"
fails "what was disabled is enabled again" test -e "$wants"
as_warrantyd warrantyd status >/dev/null

# == Removed, the config and the state stay, and it comes back with them.
inside dpkg -r warrantyd >"$work/log" 2>&1
fails "the program is still there" test -e "$root/usr/bin/warrantyd"
[ -e "$root/var/lib/warrantyd/warrantyd.db" ]
install next
is "$(tail -n 1 "$config")" "# mine"
is "$(inside readlink /etc/systemd/system/warrantyd.service || true)" ""

# == Purged, only the shop's own is left: its database and who owns it.
inside dpkg -P warrantyd >"$work/log" 2>&1
left=$(comm -13 <(echo "$before") <(files) | grep -v '^\./var/lib/warrantyd' || true)
is "$left" "$(printf '%s\n' ./etc/group- ./etc/gshadow- ./etc/passwd- ./etc/shadow- |
    comm -23 - <(echo "$before"))"
gone=$(comm -23 <(echo "$before") <(files))
is "$gone" ""
[ -e "$root/var/lib/warrantyd/warrantyd.db" ]
inside getent passwd warrantyd >/dev/null

# == Where nothing was kept, nothing is left.
rm -r "$root/var/lib/warrantyd"
install first
inside dpkg -P warrantyd >"$work/log" 2>&1
fails "an empty state directory is left" test -e "$root/var/lib/warrantyd"

# == The manual's steps without a package, as they are written there.
mkdir -p "$root/root/.cargo/bin" "$root/src"
cp "$program" "$root/root/.cargo/bin/warrantyd"
cp -r templates "$root/src/"
inside userdel warrantyd
steps=$(sed -n '/^From a checkout:$/,/^From cron/s/^    # //p' README.md)
[ "$(wc -l <<<"$steps")" -ge 10 ]
# There is no systemd to be told.
inside env HOME=/root PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    sh -ec "cd /src; $(grep -v '^systemctl' <<<"$steps")" >"$work/log" 2>&1 ||
    { cat "$work/log" >&2; exit 1; }
of_root=$work/warrantyd.service
sed "s|=/usr/local/bin/|=$root/usr/local/bin/|" "$root/etc/systemd/system/warrantyd.service" >"$of_root"
is "$(systemd-analyze --man=no verify "$of_root" 2>&1 | grep warrantyd)" ""
is "$(mode /etc/warrantyd/warrantyd.toml)" "-rw-r----- root:warrantyd"
as_warrantyd /usr/local/bin/warrantyd --config /etc/warrantyd/warrantyd.toml init >"$work/log"
as_warrantyd /usr/local/bin/warrantyd doctor >"$work/log"
