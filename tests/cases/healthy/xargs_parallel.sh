# xargs, which keeps four children running.
seq 60 | xargs -n 1 -P 4 /bin/true
