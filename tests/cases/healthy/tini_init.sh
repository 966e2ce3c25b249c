# tini as a subreaper: children whose parents end before them become its own, and it reaps them.
exec tini -s -- sh -c 'for i in 1 2 3 4 5; do (sleep 0.1 &); done; sleep 0.5'
