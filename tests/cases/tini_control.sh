#!/bin/bash
# source: krallin/tini, jenkinsci/docker#54, argoproj/argo-helm#3752 (control: the fix)
# mechanism: real tini as PID 1 over the same job as pid1_tail_exec
# truth: 5 orphans and its own child, all reaped by tini: healthy. No leak anywhere
. "${0%/*}/children.sh"
unshare --pid --fork --kill-child tini -- sleep 100 & U=$!
T=$(first_child $U) || exit 1
C=$(first_child $T) && until_is $C sleep || exit 1
for i in 1 2 3 4 5; do nsenter -t $T -p -- sh -c 'sleep 0.2 & exit 0'; done
while [ -e /proc/$T ] && [ "$(cat /proc/$T/task/$T/children)" != "$C " ]; do sleep 0.01; done # until all five have died and gone
Z=$("${0%/*}/zc" $T)
kill -TERM $T; wait $U
echo "TRUTH pid=$T exited=6 reaped=$((6 - Z)) left=$Z" >&2; exit 0
