#!/bin/bash
# source: tmux/tmux#311 (tmux leaves zombies around; libutempter's own SIGCHLD handler), tmux/tmux#4559
# mechanism: real tmux (Debian build, with utempter): 8 times `tmux new-window true` (the pane's shell dies at once)
# truth: prints how many zombies the server has 2 s after all windows are gone. Mostly none (control, server healthy); now and
#        then, on a busy machine, one stays (2 of 27 seen), and the server is leaking
export TMUX= TMUX_TMPDIR=$1
T() { tmux -L case -f /dev/null "$@"; }
T new-session -d 'sleep 60'
S=$(T display -p '#{pid}')
for i in 1 2 3 4 5 6 7 8; do T new-window 'exec true'; done
while [ -e /proc/$S ] && [ "$(T list-windows | wc -l)" != 1 ]; do sleep 0.02; done
Z=$("${0%/*}/zc" $S 0 2)
T kill-server; while [ -e /proc/$S ]; do sleep 0.02; done
echo "TRUTH pid=$S zombies=$Z" >&2
