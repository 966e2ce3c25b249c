#!/bin/bash
# source: github.com/Snapyou2/re-command/issues/16 ([cron] <defunct>, PID 1 = tail -f /dev/null); adoptium/ci-jenkins-pipelines#1066 (PID 1 = cat)
# mechanism: new PID namespace whose PID 1 is the real `tail -f /dev/null`, started directly; jobs come in by nsenter (= docker exec / cron),
#            background a process and exit at once: the orphan is ALIVE when PID 1 inherits it and dies later
# truth: tail (ns pid 1): 6 zombies, 0 reaped, never_reaps; cause: PID 1 does not reap adopted orphans, fix: an init (tini / --init)
. "${0%/*}/children.sh"
unshare --pid --fork --kill-child tail -f /dev/null & U=$!
T=$(first_child $U) || exit 1
until_is $T tail || exit 1
for i in 1 2 3 4 5 6; do nsenter -t $T -p -- sh -c 'sleep 0.2 & exit 0'; done
Z=$("${0%/*}/zc" $T 6)
echo "TRUTH pid=$T exited=$Z reaped=0 left=$Z" >&2
sleep "${1}e-3"; kill -9 $T; wait $U; exit 0
