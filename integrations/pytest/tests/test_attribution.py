"""Attribution from event lines made by hand; no reapwatch is needed."""

import json

import pytest

import reapwatch_tests as rt

MS = 1_000_000


def at(ms):
    return f"1970-01-01T00:00:{ms / 1000:012.9f}Z"


def line(ms, event, pid, **more):
    return {"time": at(ms), "event": event, "process": {"pid": pid, "start_time": at(0), "comm": f"p{pid}"}, **more}


def fork(ms, pid, parent, **more):
    return line(ms, "fork", pid, parent={"pid": parent, "comm": f"p{parent}"}, **more)


def died(ms, pid, parent):
    by = {"pid": parent, "comm": f"p{parent}"}
    return [line(ms, "exit", pid, parent=by), line(ms, "zombie", pid, parent=by)]


def journal(*spans):
    entries = []
    for pid, test, begin, end in spans:
        entries.append({"pid": pid, "is": "begin", "test": test, "at_ns": begin * MS})
        if end is not None:
            entries.append({"pid": pid, "is": "end", "test": test, "at_ns": end * MS})
    return rt.Journal([json.dumps(entry) for entry in entries])


def left(spans, events, report=None, grace_ms=100):
    attribution = rt.Attribution(journal(*spans), grace_ms * MS, report or {})
    for one in events:
        attribution.take(one)
    return {
        test: {kind: [process["pid"] for process in of[kind]] for kind in of if of[kind]}
        for test, of in attribution.finish()
    }


def test_a_child_belongs_to_the_test_that_ran_at_its_fork_and_so_do_its_own():
    events = [fork(5, 20, 10), fork(15, 21, 10), fork(25, 22, 20), *died(30, 21, 10), *died(31, 22, 20), line(500, "exec", 10)]
    assert left([(10, "a", 0, 10), (10, "b", 11, 20)], events) == {"b": {"unreaped": [21]}, "a": {"unreaped": [22]}}


def test_workers_have_their_own_tests():
    events = [fork(5, 20, 10), fork(5, 21, 11), *died(6, 20, 10), *died(6, 21, 11), line(500, "exec", 10)]
    assert left([(10, "a", 0, 10), (11, "b", 0, 10)], events) == {"a": {"unreaped": [20]}, "b": {"unreaped": [21]}}


def test_in_a_pid_namespace_a_process_is_known_by_its_own_pid():
    event = fork(5, 20, 4000)
    event["parent"]["ns_pid"] = 10
    assert left([(10, "a", 0, 10)], [event, *died(6, 20, 4000), line(500, "exec", 4000)]) == {"a": {"unreaped": [20]}}


@pytest.mark.parametrize("reaped_ms, expected", [(50, {}), (300, {"a": {"late": [20]}})])
def test_who_is_reaped_in_time_is_not_left(reaped_ms, expected):
    events = [fork(5, 20, 10), *died(6, 20, 10), line(reaped_ms, "reap", 20), line(900, "exec", 10)]
    assert left([(10, "a", 0, 10)], events) == expected


def test_who_has_just_died_at_the_end_is_not_left():
    assert left([(10, "a", 0, 10)], [fork(5, 20, 10), *died(6, 20, 10), line(50, "exec", 10)]) == {}


def test_a_parent_that_dies_over_it_leaves_it_though_another_reaps_it():
    heir = {"pid": 1, "comm": "init"}
    events = [fork(5, 20, 10), *died(6, 20, 10), line(300, "reparent", 20, parent=heir), line(301, "reap", 20)]
    assert left([(10, "a", 0, 10)], events) == {"a": {"unreaped": [20]}}


def test_a_pid_that_is_given_out_again_is_another_process():
    events = [fork(1, 20, 10), *died(2, 20, 10), line(3, "reap", 20), fork(15, 20, 10), *died(16, 20, 10), line(500, "exec", 10)]
    assert left([(10, "a", 0, 10), (10, "b", 11, 20)], events) == {"b": {"unreaped": [20]}}


def test_only_what_reapwatch_lists_was_left_running_and_what_is_suppressed_is_not():
    report = {
        "left_running": [{"pid": 20}, {"pid": 21, "suppressed_by": "daemon"}],
        "parents": [{"pid": 10, "suppressed_by": "known"}, {"pid": 11}],
    }
    events = [fork(1, 20, 10), fork(2, 21, 10), fork(3, 22, 10), *died(4, 22, 10), line(500, "exec", 10)]
    assert left([(10, "a", 0, 10)], events, report) == {"a": {"running": [20]}}


def test_what_no_test_forked_is_said_to_be_outside():
    events = [fork(50, 20, 10), *died(51, 20, 10), line(500, "exec", 10)]
    assert left([(10, "a", 0, 10)], events) == {None: {"unreaped": [20]}}


def test_a_journal_that_was_cut_off_is_used_as_far_as_it_goes():
    lines = ['{"pid": 10, "is": "begin", "test": "a", "at_ns": 5}', '{"pid": 10, "is": "en']
    assert rt.Journal(lines).test_at({"pid": 10}, 10**18) == "a"


def test_no_name_controls_the_terminal():
    process = {"pid": 1, "command": "a\x1b[2J\n\u202e", "parent": {"pid": 2, "comm": "\r"}}
    said = "\n".join(rt.lines([("t\x1b", {"unreaped": [process] * 30, "late": [], "running": []})]))
    assert "\x1b" not in said and "\u202e" not in said and "\r" not in said
    assert "30 dead children were never reaped" in said and "… and 10 more" in said


def test_durations_and_times():
    assert rt.duration_ns("1h30m") == 5_400 * rt.NS and rt.duration_ns("250ms") == 250 * MS
    for wrong in ("", "5", "soon", "5 s", "-1s"):
        with pytest.raises(ValueError):
            rt.duration_ns(wrong)
    assert rt.epoch_ns("1970-01-01T00:00:01.000000005Z") == rt.NS + 5
