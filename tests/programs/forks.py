"""Forks COUNT children from DEPTH nested functions and reaps each before the next: what a fork site costs."""
import os
import sys
import time


def fork_all(depth, count):
    if depth > 2:
        return fork_all(depth - 1, count)
    for _ in range(count):
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)


# Until its interpreter is known, and so that it is no young process any more.
time.sleep(1.2)
fork_all(int(sys.argv[2]), int(sys.argv[1]))
