# Bash with background jobs that it never waits for by name: it reaps them while it runs other commands.
for i in $(seq 10); do
    sleep 0.05 &
    sleep 0.1
done
