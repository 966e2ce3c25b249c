"""Children forked in the ways that Python has, all left unreaped. Who calls what forks has a mark with its name."""
import multiprocessing
import os
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor

LEFT = []


def leave():
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    LEFT.append(pid)


def nested():
    def inner():
        leave()  # calls: nested.<locals>.inner

    inner()


def produce():
    for number in range(2):
        if number:
            leave()  # calls: produce
        yield number


by_lambda = lambda: leave()  # calls: <lambda>


def in_pool(number):
    leave()  # calls: in_pool


class Task:
    def run(self):
        leave()  # calls: Task.run


def by_comprehension():
    return [leave() for _ in range(2)]


def by_subprocess():
    LEFT.append(
        subprocess.Popen(  # calls: by_subprocess
            ["sleep", "0"]
        )
    )


def by_multiprocessing():
    process = multiprocessing.get_context("fork").Process(target=int)
    process.start()  # calls: by_multiprocessing
    LEFT.append(process)


def höhe():
    leave()  # calls: höhe


async def wait_for_it():
    leave()  # calls: wait_for_it


def main():
    nested()
    list(produce())
    by_lambda()
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(in_pool, range(3)))
    thread = threading.Thread(target=Task().run)
    thread.start()
    thread.join()
    by_comprehension()
    by_subprocess()
    by_multiprocessing()
    höhe()
    try:
        wait_for_it().send(None)
    except StopIteration:
        pass


time.sleep(0.3)
main()
time.sleep(0.5)
os._exit(0)
