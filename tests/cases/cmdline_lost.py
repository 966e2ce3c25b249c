# source: any report of "[x] <defunct>" under a generic comm (python3, node, java, bash): the SRE must know WHICH python3
# mechanism: python leaks 3 children at once, then sleeps. (a) watch started before it, (b) watch started after it
# truth: 3 left; command line is `/usr/bin/python3 .../cmdline_lost.py N`; the report must give command_line, executable (alive, /proc readable)
import subprocess, time, os, sys
k = [subprocess.Popen(["/bin/true"]) for _ in range(3)]
print(f"TRUTH pid={os.getpid()} exited=3 reaped=0 left=3", file=sys.stderr, flush=True)
time.sleep(int(sys.argv[1]) / 1000); os._exit(0)
