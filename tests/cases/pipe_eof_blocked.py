# source: tomerfiliba/plumbum#840 (#685), tinylibs/tinyexec#138, stripe/subprocess#39, haskell/process#70 (pg_ctl)
# mechanism: parent reads the child's stdout to EOF before wait(); the child has died, a grandchild keeps the pipe open for a while
# truth: 1 zombie for that while, then reaped: slow. While it lasts the parent is blocked in read(pipe) held by pid of the grandchild. cause: reads until EOF before it waits
import subprocess, os, sys, time
p = subprocess.Popen(["/bin/sh", "-c", f"sleep {int(sys.argv[1]) / 1000} & echo started"], stdout=subprocess.PIPE)
t = time.time(); out = p.stdout.read(); p.wait()
print(f"TRUTH pid={os.getpid()} exited=1 reaped=1 left=0 waited_ms={int((time.time()-t)*1000)}", file=sys.stderr)
