# Postfix, unpacked and not installed, that goes with whoever started this
# script, killed or not: it relays from a port of the loopback until the input
# ends. DIR holds main.cf; all that Postfix writes is below it. It needs root,
# as Postfix does.
postfix=$1 dir=$2 port=$3
[ "$(id -u)" = 0 ] || exec sudo -n bash "$0" "$@"

export LD_LIBRARY_PATH=$postfix/usr/lib/postfix
mkdir -p "$dir/data" "$dir"/queue/{active,bounce,corrupt,defer,deferred,flush,hold} \
    "$dir"/queue/{incoming,private,saved,trace,maildrop,public,pid} || exit
touch "$dir/log"
cat >>"$dir/main.cf" <<END
compatibility_level = 3.6
queue_directory = $dir/queue
data_directory = $dir/data
daemon_directory = $postfix/usr/lib/postfix/sbin
command_directory = $postfix/usr/sbin
shlib_directory = $postfix/usr/lib/postfix
meta_directory = $postfix/etc/postfix
mail_owner = daemon
setgid_group = mail
maillog_file = $dir/log
maillog_file_prefixes = /
import_environment = MAIL_CONFIG MAIL_LOGTAG LD_LIBRARY_PATH
smtpd_peername_lookup = no
END
# Another port, and nothing in a jail that only an installation fills.
sed -E -e "s/^smtp +inet /127.0.0.1:$port inet /" -e 's/^(([^# ]+ +){4})y/\1n/' \
    "$postfix/usr/share/postfix/master.cf.dist" >"$dir/master.cf"
chmod 755 "$dir"
chown -R daemon "$dir/queue" "$dir/data" "$dir/log"
chown root "$dir/queue" "$dir/queue/pid"
chgrp mail "$dir/queue/maildrop" "$dir/queue/public"
chmod 730 "$dir/queue/maildrop"
chmod 710 "$dir/queue/public"

export MAIL_CONFIG=$dir MAIL_LOGTAG=postfix
setsid "$postfix/usr/lib/postfix/sbin/master" -c "$dir" -d &
read -r _
kill "$!" 2>/dev/null
wait "$!"
rm -rf "${dir:?}"
