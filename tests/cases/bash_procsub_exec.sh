#!/bin/bash
# source: containers/bubblewrap#146 (cgwalters: `(exec sleep 1h) < <(sleep 1s; true)` leaves [bash] <defunct> under sleep)
# mechanism: exec with a process substitution: the substitution's bash is a child of the exec'd program
# truth: sleep: 1 left, never_reaps, children_inherited_through_exec
(echo "TRUTH pid=$BASHPID exited=1 reaped=0 left=1" >&2; exec sleep "${1}e-3") < <(sleep 0.2; true)
