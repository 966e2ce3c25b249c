"""pytest --reapwatch: runs the tests under `reapwatch run`, and says which test left children unreaped or running.

Owns the options, the journal of which test ran when, and the exit status. Attribution is `reapwatch_tests`'.
"""

import json
import os
import pathlib
import shlex
import subprocess
import sys
import tempfile
import time

import pytest

import reapwatch_tests

# Set in the pytest that runs under reapwatch: the directory of the journals.
JOURNALS = "REAPWATCH_PYTEST_JOURNALS"
LABEL = "REAPWATCH_LABEL"
# Longest label: reapwatch reads no more.
LABEL_MAX = 128


def pytest_addoption(parser):
    group = parser.getgroup("reapwatch", "child processes that tests leave (reapwatch)")
    group.addoption("--reapwatch", action="store_true", help="say which test leaves children unreaped or running")
    for name, default, text in (
        ("command", "reapwatch", "how reapwatch is started, for instance 'sudo -n reapwatch'"),
        ("grace", "1s", "how long a dead child may wait to be reaped"),
        ("fail", "leak", "what fails the run: leak, any (also late reaps and what is left running) or nothing"),
        ("args", "", "more options for 'reapwatch run'"),
    ):
        group.addoption(f"--reapwatch-{name}", default=None, metavar=name.upper(), help=f"{text} [default: {default}]")
        parser.addini(f"reapwatch_{name}", text, default=default)
    group.addoption("--reapwatch-json", default=None, metavar="FILE", help="also write the result as JSON")


def _asked(config, name):
    given = config.getoption(f"reapwatch_{name}")
    return given if given is not None else config.getini(f"reapwatch_{name}")


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config):
    if not config.getoption("reapwatch") or JOURNALS in os.environ:
        return None
    fail = _asked(config, "fail")
    if fail not in ("leak", "any", "nothing"):
        raise pytest.UsageError(f"--reapwatch-fail: {fail!r} is not leak, any or nothing")
    try:
        grace_ns = reapwatch_tests.duration_ns(_asked(config, "grace"))
    except ValueError as error:
        raise pytest.UsageError(f"--reapwatch-grace: {error}") from None
    with tempfile.TemporaryDirectory(prefix="pytest-reapwatch-") as directory:
        return _watched(config, pathlib.Path(directory), fail, grace_ns)


def _watched(config, directory, fail, grace_ns):
    """Runs the same pytest under reapwatch. Returns the exit status."""
    reapwatch = shlex.split(_asked(config, "command"))
    recording, report_file = directory / "tests.rec", directory / "report.json"
    # By `env`, because sudo passes on no variables.
    tests = ["env", f"{JOURNALS}={directory}", sys.executable, "-m", "pytest", *config.invocation_params.args]
    options = ["--grace", _asked(config, "grace"), "--format", "json", "--output", str(report_file)]
    run = [*reapwatch, "run", *options, "--record", str(recording), *shlex.split(_asked(config, "args")), "--", *tests]
    try:
        status = subprocess.run(run, cwd=config.invocation_params.dir).returncode
    except OSError as error:
        raise pytest.UsageError(f"cannot start {reapwatch[0]}: {error}: see --reapwatch-command") from None
    replay = [*reapwatch, "replay", str(recording), "--as", "trace", "--format", "json"]
    if not report_file.exists():
        print("reapwatch: the tests were not watched: reapwatch said why above", file=sys.stderr)
        return status or int(pytest.ExitCode.INTERNAL_ERROR)
    report = json.loads(report_file.read_text("utf-8"))
    journal = reapwatch_tests.Journal(
        line for file in sorted(directory.glob("journal.*")) for line in file.read_text("utf-8").splitlines()
    )
    attribution = reapwatch_tests.Attribution(journal, grace_ns, report)
    with subprocess.Popen(replay, stdout=subprocess.PIPE) as events:
        for line in events.stdout:
            attribution.take(json.loads(line))
    if events.returncode:
        print("reapwatch: the recording cannot be replayed: no child is attributed", file=sys.stderr)
        return status or int(pytest.ExitCode.INTERNAL_ERROR)
    left = attribution.finish()
    _tell(config, left, report)
    failing = {"leak": ("unreaped",), "any": ("unreaped", "late", "running"), "nothing": ()}[fail]
    has_failed = any(of[kind] for _, of in left for kind in failing)
    if has_failed and not status:
        counted = {kind: sum(bool(of[kind]) for _, of in left) for kind in failing}
        words = {"unreaped": "left dead children", "late": "reaped late", "running": "left processes running"}
        why = ", ".join(f"{number} {words[kind]}" for kind, number in counted.items() if number)
        print(f"reapwatch: exit status 1, though the tests passed: of the tests, {why} (--reapwatch-fail {fail})")
        return int(pytest.ExitCode.TESTS_FAILED)
    return status


def _tell(config, left, report):
    title = " reapwatch: children that tests left "
    print(f"\n{title:=^80}")
    if not left:
        print("none: every dead child was reaped, and nothing is left running")
    for line in reapwatch_tests.lines(left):
        print(line)
    if not report["complete"]:
        print("reapwatch lost some of what the kernel told: children may be missing here")
    target = config.getoption("reapwatch_json")
    if target:
        tests = [{"test": test, **of} for test, of in left]
        result = {"schema": "pytest-reapwatch/1", "complete": report["complete"], "tests": tests}
        pathlib.Path(target).write_text(json.dumps(result, indent=1) + "\n", "utf-8")


class _Journal:
    """In the pytest that runs under reapwatch, and in each worker of xdist: notes which test runs when."""

    def __init__(self, directory):
        self._file = open(os.path.join(directory, f"journal.{os.getpid()}"), "a", encoding="utf-8", buffering=1)
        # Events count boot time from one reading of both clocks; so does this.
        self._anchor_ns = time.time_ns() - time.clock_gettime_ns(time.CLOCK_BOOTTIME)

    def _note(self, what, test):
        at_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME) + self._anchor_ns
        self._file.write(json.dumps({"pid": os.getpid(), "is": what, "test": test, "at_ns": at_ns}) + "\n")

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item):
        before = os.environ.get(LABEL)
        os.environ[LABEL] = item.nodeid.encode("utf-8", "replace")[:LABEL_MAX].decode("utf-8", "ignore")
        self._note("begin", item.nodeid)
        yield
        self._note("end", item.nodeid)
        if before is None:
            os.environ.pop(LABEL, None)
        else:
            os.environ[LABEL] = before


def pytest_configure(config):
    directory = os.environ.get(JOURNALS)
    if directory:
        config.pluginmanager.register(_Journal(directory), "reapwatch-journal")
