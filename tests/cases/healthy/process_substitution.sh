# Bash with process substitutions, which end before it does.
for i in $(seq 10); do
    diff <(seq 5) <(seq 5)
done
sleep 0.1
