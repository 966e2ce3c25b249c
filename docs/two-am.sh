#!/bin/bash
# A host at 2 a.m.: three services and an agent that do not reap as they should, among 300 parents that do. It takes some
# hundredths of one CPU. As root the services are in cgroups of their own, as systemd's are. To look at it:
#   sudo bash docs/two-am.sh 300 &      # for 300 s; prints who is who
#   sudo reapwatch
seconds=${1:-300} healthy=${2:-300}
directory=$(mktemp -d) && cd "$directory" || exit 1
parents=() cgroups=()

# Ends what it started, by pid: their children go with them or end by themselves.
end() {
    trap - EXIT
    kill "${parents[@]}" 2>/dev/null
    wait
    for cgroup in "${cgroups[@]}"; do rmdir "$cgroup" 2>/dev/null; done
    rm -r "$directory"
    exit
}
trap end EXIT INT TERM HUP

# Starts a service by name, in the cgroups of a unit where they can be made, and says its pid.
service() {
    local name=$1 root procs=()
    shift
    for root in /sys/fs/cgroup/systemd /sys/fs/cgroup/unified /sys/fs/cgroup; do
        [ -w "$root/cgroup.procs" ] && mkdir -p "$root/system.slice/$name.service" || continue
        cgroups+=("$root/system.slice/$name.service")
        procs+=("$root/system.slice/$name.service/cgroup.procs")
    done
    (
        trap - EXIT
        for file in "${procs[@]}"; do echo "$BASHPID" >"$file"; done
        exec "$@"
    ) &
    parents+=("$!")
    echo "$name $!"
}

# Forks workers and never waits for one.
cat >worker_manager.py <<'PY'
import os, time
while True:
    if os.fork() == 0:
        time.sleep(2)
        os._exit(0)
    time.sleep(0.7)
PY

# Starts jobs, and then becomes a program that does not know them.
cat >bash_backgrounder.sh <<'SH'
for ((i = 0; i < 50; i++)); do (sleep 3; exit 0) & done
exec sleep infinity
SH

# Forks, and never waits.
cat >broken_daemon.c <<'C'
#include <unistd.h>
int main(void)
{
    for (;;) {
        if (fork() == 0)
            _exit(0);
        sleep(1);
    }
}
C
cc -o broken_daemon broken_daemon.c || exit 1

# A pool of threads runs commands with a time-out. Those that take too long are killed, and nobody waits for them.
cat >agent.py <<'PY'
import subprocess, time
from concurrent.futures import ThreadPoolExecutor

calls = []

def call(command, timeout):
    process = subprocess.Popen(["sh", "-c", command], stdout=subprocess.PIPE, text=True)
    calls.append(process)
    try:
        output, _ = process.communicate(timeout=timeout)
        return output
    except subprocess.TimeoutExpired:
        process.kill()
        return "timed out"

def turn(number):
    return call("exec sleep 20" if number % 4 else "df -h /", 1.5)

with ThreadPoolExecutor(8) as pool:
    while True:
        list(pool.map(turn, range(16)))
PY

# Healthy: each waits for the one child that it has.
for ((i = 0; i < healthy; i++)); do
    nice -n 19 sh -c "while :; do sleep $((10 + i % 20)); done" &
    parents+=("$!")
done

service worker-manager /usr/bin/python3 worker_manager.py
service bash-backgrounder bash bash_backgrounder.sh
service broken-daemon ./broken_daemon
service agent /usr/bin/python3 agent.py
sleep "$seconds" &
parents+=("$!")
wait "$!"
