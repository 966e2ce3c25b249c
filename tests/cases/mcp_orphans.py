# source: a-bonus/google-docs-mcp#112 (46 orphans with PPID 1), NousResearch/hermes-agent#50169, openclaw/openclaw#72112, codefuturist/email-mcp#60, bbot#3203
# mechanism: an agent starts 3 stdio servers (each: sh wrapper -> node-like child, as `npm exec` does), is SIGKILLed; the servers run on, inherited by init
# truth: left running: 3 wrappers + 3 servers = 6, all started below the agent (pid printed); nobody leaks zombies
# Whoever runs it ends the six: their pids are printed.
import subprocess, os, sys, time, signal
if len(sys.argv) > 1:
    for _ in range(3):
        p = subprocess.Popen(["/bin/sh", "-c", "sleep 60; true"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        server = ""
        while not server: server = open(f"/proc/{p.pid}/task/{p.pid}/children").read().strip()
        print(p.pid, server, flush=True)
    time.sleep(100)
a = subprocess.Popen([sys.executable, __file__, "agent"], stdout=subprocess.PIPE, text=True)
pairs = [a.stdout.readline().split() for _ in range(3)]
a.send_signal(signal.SIGKILL); a.wait()
print(f"TRUTH pid={os.getpid()} agent={a.pid} exited=1 reaped=1 left=0", file=sys.stderr)
for wrapper, server in pairs: print(f"RUNNING wrapper={wrapper} server={server}", file=sys.stderr)
