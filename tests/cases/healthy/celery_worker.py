# Celery: a worker with a pool of processes, each of which ends after some tasks.
import os
import subprocess
import sys
import time

text = """
from celery import Celery
app = Celery("tasks", broker="filesystem://", backend="file://" + __import__("os").getcwd() + "/out")
app.conf.broker_transport_options = {"data_folder_in": "q", "data_folder_out": "q"}
app.conf.worker_max_tasks_per_child = 2
@app.task
def square(number):
    return number * number
"""
for directory in ["q", "out"]:
    os.mkdir(directory)
with open("tasks.py", "w") as file:
    file.write(text)
environment = dict(os.environ, C_FORCE_ROOT="1", PYTHONPATH=os.getcwd())
worker = subprocess.Popen(
    [sys.executable, "-m", "celery", "-A", "tasks", "worker", "-c", "2", "-l", "error"], env=environment
)
sys.path.insert(0, os.getcwd())
import tasks

results = [tasks.square.delay(number) for number in range(10)]
assert sum(result.get(timeout=30) for result in results) == 285
worker.terminate()
worker.wait()
