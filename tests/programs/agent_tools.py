"""An agent's tools: a pool of threads runs commands with a time-out, kills those that take too long and never waits."""
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

STARTED = []


def start_shell(command):
    process = subprocess.Popen(["sh", "-c", command])  # forks here
    STARTED.append(process)
    return process


class Tool:
    def call(self, command, timeout):
        process = start_shell(command)
        time.sleep(timeout)
        process.kill()


def run_turn(number):
    Tool().call("exec sleep 10", 0.05)


time.sleep(0.3)
with ThreadPoolExecutor(4) as pool:
    list(pool.map(run_turn, range(int(sys.argv[1]))))
time.sleep(1)
import os

os._exit(0)
