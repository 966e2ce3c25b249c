# Bash with pipelines, command substitutions and subshells.
for i in $(seq 10); do
    printf '%s\n' "$(seq 50 | sort -rn | head -n 3 | tr '\n' ' ')" | (cat; true) > /dev/null
done
