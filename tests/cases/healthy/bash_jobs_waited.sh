# Bash with background jobs that it waits for, all at once.
for i in $(seq 20); do sleep 0.1 & done
wait
