# A pool of Python threads that each run commands, as agent frameworks do, with time-outs that kill and then wait.
import concurrent.futures
import subprocess


def tool(number):
    process = subprocess.Popen(["/bin/sleep", "0.05" if number % 4 else "60"], start_new_session=True)
    try:
        process.wait(0.3)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


with concurrent.futures.ThreadPoolExecutor(8) as pool:
    list(pool.map(tool, range(32)))
