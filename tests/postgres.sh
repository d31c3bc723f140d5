# A PostgreSQL server that goes with whoever started this script, killed or
# not: it is told `start`, `stop` and `promote` on its input, answers each with
# a line, and when the input ends it stops the server and removes all that is
# its own. Given the port of another server, it is that one's standby.
bin=$1 port=$2 primary=$3
dir=$(mktemp -d) || exit 1
server() { "$bin/pg_ctl" -D "$dir/data" -s -w "$@" </dev/null; }
trap 'server -m immediate stop 2>/dev/null; rm -rf "$dir"' EXIT

new() {
    # Sorted unlike byte for byte, so that a statement that relies on it shows.
    "$bin/initdb" -D "$dir/data" -U warrantyd -A trust -E UTF8 --no-sync \
        --locale=C --locale-provider=icu --icu-locale=en >/dev/null || return
    # What is committed outlives the server, not the machine.
    cat >>"$dir/data/postgresql.conf" <<END
listen_addresses = '127.0.0.1'
port = $port
unix_socket_directories = ''
max_connections = 300
shared_buffers = 64MB
fsync = off
full_page_writes = off
wal_level = minimal
max_wal_senders = 0
autovacuum = off
END
}

standby() {
    "$bin/pg_basebackup" -d "host=127.0.0.1 port=$primary user=warrantyd" -D "$dir/data" \
        --write-recovery-conf --checkpoint=fast --no-sync || return
    # It waits for no standby of its own when it is promoted.
    cat >>"$dir/data/postgresql.auto.conf" <<END
port = $port
synchronous_standby_names = ''
END
}

if [ -n "$primary" ]; then standby; else new; fi || exit 1

while read -r verb; do
    case $verb in
    start) server status >/dev/null || server -l "$dir/log" start ;;
    stop) server -m immediate stop ;;
    promote) server promote ;;
    esac && echo "$verb: done" || echo "$verb: $(tail -n 5 "$dir/log" | tr '\n' ' ')"
done
