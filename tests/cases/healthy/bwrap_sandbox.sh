# bubblewrap, with an init of its own in a PID namespace, and children left to it.
exec bwrap --dev-bind / / --unshare-pid --die-with-parent sh -c 'for i in 1 2 3; do (sleep 0.1 &); done; sleep 0.4'
