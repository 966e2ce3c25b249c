#!/usr/bin/env python3
"""The seed's worker manager: forks workers and never waits for one. WORKERS, WORKER_SECONDS, HOLD_SECONDS."""
import os
import time

for _ in range(int(os.environ.get("WORKERS", "100"))):
    if os.fork() == 0:
        time.sleep(float(os.environ.get("WORKER_SECONDS", "2")))
        os._exit(0)
time.sleep(float(os.environ.get("HOLD_SECONDS", "3600")))
