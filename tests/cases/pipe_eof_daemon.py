# source: tomerfiliba/plumbum#840, tinylibs/tinyexec#138, haskell/process#70 (pg_ctl start)
# mechanism: subprocess.run(capture_output=True) polls two pipes to their ends before wait(). The child is dead; a daemon that it left, forked
#   twice, holds both
# truth: 1 zombie for that while, then reaped. Not never_waits, and to have it reaped would take its status from the parent
import os, subprocess, sys
seconds = int(sys.argv[1]) / 1000
print(f"TRUTH pid={os.getpid()} exited=1 reaped=0 left=1", file=sys.stderr, flush=True)
subprocess.run(["/bin/sh", "-c", f"(sleep {seconds} &) ; exit 3"], capture_output=True)
