"""Attributes the processes of a recording to tests.

Owns who is whose: a process belongs to the test that ran in the process which forked it, at the moment of the fork, or to that of
its parent. Must not know pytest, or how reapwatch is started.
"""

import datetime
import json
import re

NS = 1_000_000_000
# Processes that are named for one test; the others are counted.
NAMED_MAX = 20
# What a test can leave, and how that is said of one and of several.
KINDS = {
    "unreaped": ("1 dead child was never reaped", "{} dead children were never reaped"),
    "late": ("1 dead child was reaped later than the grace", "{} dead children were reaped later than the grace"),
    "running": ("1 process was left running", "{} processes were left running"),
}
_UNITS = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": NS, "m": 60 * NS, "h": 3_600 * NS}


def duration_ns(text):
    """`250ms`, `5s` or `1h30m` in ns."""
    parts = re.findall(r"(\d+)(ns|us|ms|s|m|h)", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"not a duration: {text!r}: write for instance 250ms, 5s or 1h30m")
    return sum(int(number) * _UNITS[unit] for number, unit in parts)


def epoch_ns(rfc3339):
    """A time of an event line in ns since 1970."""
    whole, _, fraction = rfc3339.rstrip("Z").partition(".")
    seconds = datetime.datetime.fromisoformat(whole).replace(tzinfo=datetime.timezone.utc).timestamp()
    return int(seconds) * NS + int((fraction or "0").ljust(9, "0")[:9])


class Journal:
    """Which test ran when, in which process."""

    def __init__(self, lines):
        self.spans = {}  # pid: [(from, to, test)], in order of time
        begun = {}
        for line in lines:
            try:
                entry = json.loads(line)
                pid, test, at = entry["pid"], entry["test"], entry["at_ns"]
            except (ValueError, KeyError, TypeError):
                continue  # Cut off where a process was killed while it wrote.
            if entry.get("is") == "begin":
                begun[pid] = (test, at)
            elif begun.get(pid, (None,))[0] == test:
                self.spans.setdefault(pid, []).append((begun.pop(pid)[1], at, test))
        for pid, (test, at) in begun.items():
            self.spans.setdefault(pid, []).append((at, float("inf"), test))

    def test_at(self, process, at_ns):
        """The test that ran in a process at a time. Its pid is the one it knows itself by."""
        spans = self.spans.get(process.get("ns_pid", process["pid"]), ())
        return next((test for begin, end, test in reversed(spans) if begin <= at_ns <= end), None)


class _Process:
    def __init__(self, line, test):
        self.pid = line["process"]["pid"]
        self.comm = line["process"]["comm"]
        self.command = None
        self.parent = line.get("parent") or {}
        self.test = test
        self.zombie_ns = None
        self.is_dead = False

    def named(self):
        return {
            "pid": self.pid,
            "command": self.command or self.comm,
            "parent": {"pid": self.parent.get("pid", 0), "comm": self.parent.get("comm", "")},
        }


class Attribution:
    """Takes event lines in their order; then knows what each test left."""

    def __init__(self, journal, grace_ns, report):
        self.journal = journal
        self.grace_ns = grace_ns
        self.by_pid = {}
        self.left = {}  # test: {kind: [process, …]}
        self.last_ns = 0
        # What a suppression names is known and meant.
        self.suppressed_parents = {one["pid"] for one in report.get("parents", ()) if "suppressed_by" in one}
        # Those that reapwatch lists as left running and that no suppression names.
        self.running = {one["pid"]: one for one in report.get("left_running", ()) if "suppressed_by" not in one}

    def take(self, line):
        at_ns = epoch_ns(line["time"])
        self.last_ns = max(self.last_ns, at_ns)
        event, process = line["event"], line.get("process")
        if event == "fork":
            creator = line.get("creator") or line["parent"]
            owner = self.by_pid.get(creator["pid"])
            test = self.journal.test_at(creator, at_ns) or (owner.test if owner else None)
            self.by_pid[process["pid"]] = _Process(line, test)
            return
        known = self.by_pid.get(process["pid"]) if process else None
        if known is None:
            return
        if event == "exec":
            known.comm = process["comm"]
            known.command = " ".join(line.get("command_line") or ()) or None
        elif event == "exit":
            known.is_dead = True
        elif event == "zombie":
            known.is_dead = True
            known.parent = line.get("parent") or known.parent
            known.zombie_ns = at_ns
        elif event == "reparent" and known.zombie_ns is not None:
            # Its parent died over it.
            self._unreaped(known, at_ns)
            known.zombie_ns = None
        elif event == "reap":
            del self.by_pid[process["pid"]]
            # As where a Popen object is kept and polled only when the interpreter ends.
            if known.zombie_ns is not None and at_ns - known.zombie_ns > self.grace_ns:
                self._found("late", known)

    def finish(self):
        """What each test left: (test, {kind: processes}); the test is None for what no test forked."""
        for known in self.by_pid.values():
            if known.zombie_ns is not None:
                self._unreaped(known, self.last_ns)
            elif not known.is_dead and known.pid in self.running:
                self._found("running", known)
        return sorted(self.left.items(), key=lambda one: (one[0] is None, one[0] or ""))

    def _unreaped(self, known, until_ns):
        if until_ns - known.zombie_ns > self.grace_ns:
            self._found("unreaped", known)

    def _found(self, kind, known):
        if kind != "running" and known.parent.get("pid") in self.suppressed_parents:
            return
        self.left.setdefault(known.test, {kind: [] for kind in KINDS})[kind].append(known.named())


def _visible(text):
    """Names are hostile: none controls the terminal."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def lines(left):
    """What to print of it."""
    for test, of in left:
        for kind, (one, more) in KINDS.items():
            found = of[kind]
            if not found:
                continue
            said = one if len(found) == 1 else more.format(len(found))
            yield f"{_visible(test or '(outside of tests)')}: {said}"
            for process in found[:NAMED_MAX]:
                parent = process["parent"]
                command, name = _visible(process["command"])[:120], _visible(parent["comm"]) or "?"
                yield f"    {command} (pid {process['pid']}), child of {name} (pid {parent['pid']})"
            if len(found) > NAMED_MAX:
                yield f"    … and {len(found) - NAMED_MAX} more"
