#!/bin/bash
# source: containers/bubblewrap#146, #692 (control: bwrap's own init as PID 1)
# mechanism: real bwrap --unshare-pid: its PID 1 reaps orphans; with --as-pid-1 the program `sleep` is PID 1 and does not
# truth: init: bwrap's init has 4 orphans and the command itself, all reaped, healthy; as-pid-1: sleep (ns pid 1) has 3 left
# use: bwrap_real.sh init | as-pid-1 MS
. "${0%/*}/children.sh"
case $1 in
init)
    bwrap --unshare-pid --dev-bind / / sh -c 'for i in 1 2 3 4; do (sleep 0.3 &); done; sleep 1' & B=$!
    S=$(first_child $B) || exit 1; wait $B
    echo "TRUTH pid=$S exited=5 reaped=5 left=0" >&2 ;;
as-pid-1)
    bwrap --unshare-pid --as-pid-1 --dev-bind / / \
        sh -c "(sleep 0.3 &) ; (sleep 0.3 &) ; (sleep 0.3 &); exec sleep ${2}e-3" & B=$!
    S=$(first_child $B) || exit 1
    echo "TRUTH pid=$S left=$("${0%/*}/zc" $S 3)" >&2; wait $B ;;
esac
