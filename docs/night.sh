#!/bin/bash
# What docs/night.rec was recorded of: three services that do not reap as they should, and two that do. To make it anew:
#   sudo reapwatch record --grace 1s --output docs/night.rec -- bash docs/night.sh
directory=$(mktemp -d) && cd "$directory" || exit 1

# Forks workers and never waits for one.
cat > worker_manager.py <<'PY'
import os, time
for _ in range(44):
    if os.fork() == 0:
        os._exit(0)
    time.sleep(0.25)
time.sleep(2)
PY

# Reaps, but late.
cat > late_reaper.py <<'PY'
import os, time
for _ in range(3):
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    time.sleep(2.6)
    os.waitpid(pid, 0)
time.sleep(4)
PY

# Healthy.
cat > web_server.py <<'PY'
import os, time
for _ in range(30):
    os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0)
    time.sleep(0.4)
PY
cat > supervisor.sh <<'SH'
for ((i = 0; i < 40; i++)); do sleep 0.3; done
SH

# Starts jobs, and then becomes a program that does not know them.
cat > backgrounder.sh <<'SH'
for ((i = 0; i < 9; i++)); do (exit 0) & done
exec sleep 12
SH

/usr/bin/python3 worker_manager.py &
/usr/bin/python3 late_reaper.py &
/usr/bin/python3 web_server.py &
bash supervisor.sh &
bash backgrounder.sh &
sleep 11.2
rm -r "$directory"
