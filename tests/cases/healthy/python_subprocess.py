# Python's subprocess: run, check_output, a Popen used as a context manager, and a time-out that kills and waits.
import subprocess

for _ in range(20):
    subprocess.run(["/bin/true"], check=True)
    subprocess.check_output(["/bin/echo"])
with subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE) as cat:
    cat.communicate(b"x")
try:
    subprocess.run(["/bin/sleep", "60"], timeout=0.2)
except subprocess.TimeoutExpired:
    pass
