# cron, in the foreground, which looks at its tables at its start and each minute. A crontab is installed nowhere.
timeout 1 unshare -m sh -c 'mount -t tmpfs none /var/spool/cron; mkdir /var/spool/cron/crontabs
mount -t tmpfs none /etc/cron.d; mount -t tmpfs none /run
echo "@reboot root for i in 1 2 3; do /bin/true; done" > /etc/cron.d/work; exec cron -f' || [ $? = 124 ]
