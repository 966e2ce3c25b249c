# source: agents that run tools in a thread pool; a tool starts a server in the background
# mechanism: three threads, each in subprocess.run(capture_output=True): it polls two pipes to their ends before wait(). Each child is dead, and
#   what it left in the background holds both
# truth: 3 zombies for that while, then reaped. Not never_waits, and to have them reaped would take their status from the parent
import os, subprocess, sys
from concurrent.futures import ThreadPoolExecutor
seconds = int(sys.argv[1]) / 1000
print(f"TRUTH pid={os.getpid()} exited=3 reaped=0 left=3", file=sys.stderr, flush=True)
with ThreadPoolExecutor(3) as pool:
    list(pool.map(lambda _: subprocess.run(["/bin/sh", "-c", f"sleep {seconds} & exit 3"], capture_output=True), range(3)))
