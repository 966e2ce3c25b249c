#!/bin/bash
# source: github.com/Snapyou2/re-command/issues/16; containerd/containerd#9979 (postStart exec leaves `sleep &`), the usual docker-entrypoint.sh: set-up commands, then exec
# mechanism: bash is PID 1, runs set-up commands in the foreground and reaps them ALL, then execs tail; LATER jobs come by nsenter (docker exec)
#            and leave orphans. Nothing was inherited through the exec.
# truth: tail (ns pid 1): 5 zombies, never_reaps; cause: PID 1 does not reap adopted orphans. NOT children_inherited_through_exec
. "${0%/*}/children.sh"
unshare --pid --fork --kill-child bash -c 'for i in 1 2 3; do /bin/true; done; exec tail -f /dev/null' & U=$!
T=$(first_child $U) || exit 1
until_is $T tail || exit 1
for i in 1 2 3 4 5; do nsenter -t $T -p -- sh -c 'sleep 0.2 & exit 0'; done
Z=$("${0%/*}/zc" $T 5)
echo "TRUTH pid=$T exited=$((Z + 3)) reaped=3 left=$Z" >&2
sleep "${1}e-3"; kill -9 $T; wait $U; exit 0
