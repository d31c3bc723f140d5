# A PostgreSQL server that goes with whoever started this script, killed or
# not: it is told `start` and `stop` on its input, answers each with a line,
# and when the input ends it stops the server and removes all that is its own.
bin=$1 port=$2
dir=$(mktemp -d) || exit 1
server() { "$bin/pg_ctl" -D "$dir/data" -s -w "$@" </dev/null; }
trap 'server -m immediate stop 2>/dev/null; rm -rf "$dir"' EXIT

# Sorted unlike byte for byte, so that a statement that relies on it shows.
"$bin/initdb" -D "$dir/data" -U warrantyd -A trust -E UTF8 --no-sync \
    --locale=C --locale-provider=icu --icu-locale=en >/dev/null || exit 1
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

while read -r verb; do
    case $verb in
    start) server -l "$dir/log" start ;;
    stop) server -m immediate stop ;;
    esac && echo "$verb: done" || echo "$verb: $(tail -n 5 "$dir/log" | tr '\n' ' ')"
done
