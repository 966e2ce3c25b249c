#!/bin/bash
# source: moby/moby#29238 ("(sleep 1 & exec /bin/sleep 200000)"), containers/bubblewrap#146 (exec with <(cmd))
# mechanism: shell starts 3 in the background, then execs another program that never forks
# truth: sleep: 3 left, never_reaps; cause children_inherited_through_exec
echo "TRUTH pid=$$ exited=3 reaped=0 left=3" >&2
exec bash -c 'sleep 0.3 & sleep 0.35 & sleep 0.4 & exec sleep '"${1}e-3"
