#!/bin/bash
# source: microsoft/WSL#4138 (children of the host's PID 1), any daemon that double-forks
# mechanism: 5 orphans (alive when their parent ends) are inherited by the HOST's PID 1, which reaps them
# truth: PID 1 is ALIVE, 5 exited, 5 reaped (by PID 1), nobody abandons anything
for i in 1 2 3 4 5; do pids+=" $(sleep 0.$i >/dev/null & echo $!)"; done
for p in $pids; do echo "ORPHAN pid=$p" >&2; done
for n in {1..1000}; do
    left=0; for p in $pids; do [ -e /proc/$p ] && left=$((left + 1)); done
    [ $left = 0 ] && break; sleep 0.02
done
echo "TRUTH pid=1 exited=5 reaped=$((5 - left)) left=$left" >&2
