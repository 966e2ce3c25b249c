# source: python/cpython#95899 (PidfdChildWatcher leaves zombies), python/asyncio#281, MagicStack/uvloop#128, griptape-nodes-engine#4823
# mechanism: real CPython asyncio with PidfdChildWatcher (3.11); each request runs its own loop: spawns a child, the loop is closed before the child ends;
#            nobody watches the pidfd
# truth: 4 children of closed loops left + 1 awaited properly and reaped; leaking. cause: waits only by pid/pidfd, child forgotten on the cancel path
import asyncio, sys, time, os, warnings, subprocess
warnings.simplefilter("ignore")
asyncio.set_child_watcher(asyncio.PidfdChildWatcher())
async def spawn(wait):
    p = await asyncio.create_subprocess_exec("/bin/sleep", "0.3")
    if wait: await p.wait()
    return p
keep = []
asyncio.run(spawn(True))
for _ in range(4):
    loop = asyncio.new_event_loop(); asyncio.set_event_loop(loop)
    keep.append(loop.run_until_complete(spawn(False)))
    for p in keep: p._transport._proc = None       # as when the transport is gone: no Popen.__del__ reaps for us
    loop.stop(); loop.close()
def zombies():
    n = 0
    for d in os.listdir("/proc"):
        try: n += d.isdigit() and open(f"/proc/{d}/stat", "rb").read().rsplit(b")", 1)[1].split()[:2] == [b"Z", str(os.getpid()).encode()]
        except OSError: pass
    return n
deadline = time.monotonic() + 20
while zombies() < 4 and time.monotonic() < deadline: time.sleep(0.02)
print(f"TRUTH pid={os.getpid()} exited=5 reaped=1 left={zombies()}", file=sys.stderr, flush=True)
time.sleep(int(sys.argv[1]) / 1000); os._exit(0)
