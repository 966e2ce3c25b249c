# tmux, with a server that starts a shell for each of its windows.
tmux -f /dev/null -S ./socket new-session -d 'for i in 1 2 3; do sleep 0.1; done; exec cat'
for i in 1 2 3; do tmux -S ./socket new-window -d 'sleep 0.1'; done
sleep 0.6
tmux -S ./socket kill-server
