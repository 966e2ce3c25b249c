# source: vatlab/sos#1250, python/cpython#75202, pazz/alot#553 ("a zombie hangs around until the next worker is spawned")
# mechanism: Popen objects dropped: CPython reaps the previous ones only when the next Popen is made. Every so often one child: each waits that long dead
# truth: 3 spawned, 2 reaped late (about as late as the next one starts), 1 left at the end: with a shorter grace leaking/slow; cause: reaps only when it starts
#        the next child
# The child outlives its Popen: one that is dead already is reaped as that is dropped.
import subprocess, time, os, sys
for _ in range(3):
    subprocess.Popen(["/bin/sleep", "0.1"]); time.sleep(0.1 + int(sys.argv[1]) / 1000)
left = sum(open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[0] == "Z" for pid in open(f"/proc/self/task/{os.getpid()}/children").read().split())
print(f"TRUTH pid={os.getpid()} exited=3 reaped={3 - left} left={left}", file=sys.stderr)
os._exit(0)
