"""How cases are run, on a subject that is no program at all."""

from __future__ import annotations

import threading

import pytest

from serfcompat.conformance.case import Area, Broken, Case, Level, NotApplicable, Severity, expect
from serfcompat.conformance.result import Verdict
from serfcompat.conformance.runner import Options, run, run_one
from serfcompat.conformance.trace import Trace
from serfcompat.testing.node import AgentError
from serfcompat.wire.layers import Layers
from serfcompat.wire.messages import Ping
from serfcompat.wire.packet import build


class Stage:
    def __init__(self):
        self.trace = Trace()
        self.closed = False
        self.aborted = threading.Event()

    def log(self):
        return [f"line {number}" for number in range(20)]

    def abort(self):
        self.aborted.set()

    def close(self):
        self.closed = True


class Subject:
    title = "nothing"

    def __init__(self, shared=False, why="", trouble=None):
        self.shared, self.why, self.trouble = shared, why, trouble
        self.stages = []

    def not_applicable(self, case):
        return self.why

    def stage(self, case):
        if self.trouble:
            raise self.trouble
        self.stages.append(Stage())
        return self.stages[-1], self.stages[-1]


def a_case(run, id="some", **fields):
    return Case(id, fields.pop("area", Area.PING), Level.MEMBERLIST, "It holds.", ("M-001",), run, **fields)


def holds(_):
    pass


def fails(_):
    raise Broken("a", "b", evidence=["look here"])


def test_what_holds_passes_and_is_cleaned_up():
    subject = Subject()
    result = run_one(a_case(holds), subject, Options())
    assert (result.verdict, result.attempts, subject.stages[0].closed) == (Verdict.PASSED, 1, True)


def test_what_fails_is_tried_again_and_told():
    subject = Subject()
    result = run_one(a_case(fails), subject, Options(attempts=3))
    assert (result.verdict, result.attempts, len(subject.stages)) == (Verdict.FAILED, 3, 3)
    assert (result.expected, result.seen, result.packets) == ("a", "b", ["look here"])
    assert result.log == [f"line {number}" for number in range(8, 20)]
    assert all(stage.closed for stage in subject.stages)


def test_what_fails_by_chance_passes_at_last():
    calls = iter([fails, holds])
    result = run_one(a_case(lambda stage: next(calls)(stage)), Subject(), Options(attempts=2))
    assert (result.verdict, result.attempts) == (Verdict.PASSED, 2)


@pytest.mark.parametrize(
    ("subject", "options", "why"),
    [
        (Subject(why="no reason"), Options(), "no reason"),
        (Subject(), Options(release="0.1.0"), "memberlist has this since 0.2.0, and 0.1.0 is tested"),
        (Subject(trouble=NotApplicable("not here")), Options(), "not here"),
    ],
)
def test_what_does_not_apply_tells_why(subject, options, why):
    result = run_one(a_case(fails, since="0.2.0"), subject, options)
    assert (result.verdict, result.why) == (Verdict.NOT_APPLICABLE, why)


def test_a_case_may_find_out_that_it_does_not_apply():
    def case(_):
        raise NotApplicable("too many nodes")

    assert run_one(a_case(case), Subject(), Options()).why == "too many nodes"


def test_a_fault_of_the_kit_is_no_failure_of_the_program():
    result = run_one(a_case(lambda _: 1 / 0), Subject(), Options(attempts=1))
    assert result.verdict == Verdict.ERROR
    assert "ZeroDivisionError" in result.why


def test_a_program_that_does_not_start_cannot_be_judged():
    result = run_one(a_case(holds), Subject(trouble=AgentError("it ended")), Options())
    assert (result.verdict, result.why) == (Verdict.ERROR, "the node couldn't be made ready: AgentError: it ended")


def test_an_agent_that_does_not_go_along_has_failed():
    def case(_):
        raise AgentError("a2 is failed, not alive")

    result = run_one(a_case(case), Subject(), Options(attempts=1))
    assert (result.verdict, result.seen) == (Verdict.FAILED, "a2 is failed, not alive")


def test_what_nobody_can_read_names_the_area_at_fault():
    def case(stage):
        good = build(Ping(1, b"x").encode(), Layers(), crc=True, nonce=bytes)
        stage.trace.add("end", False, "packet", good[:-1] + b"?", Layers())
        expect(False, "an ack")

    result = run_one(a_case(case), Subject(), Options(attempts=1))
    assert (result.case.area, result.at_fault) == (Area.PING, Area.CRC)
    assert any("wrong: it is" in line for line in result.packets)


def test_a_case_that_hangs_is_broken_off():
    def case(stage):
        expect(not stage.aborted.wait(30), "an end", "a hang")

    result = run_one(a_case(case, limit=0.02), Subject(), Options(attempts=1))
    assert (result.verdict, result.seen) == (Verdict.FAILED, "a hang")


def test_those_that_want_a_shared_node_alone_come_last_and_one_by_one():
    order, inside = [], []

    def case(id):
        def run(_):
            inside.append(id)
            order.append((id, len(inside)))
            inside.remove(id)

        return run

    cases = [a_case(case(f"alone{n}"), f"alone{n}", alone=True) for n in range(3)]
    cases += [a_case(case(f"any{n}"), f"any{n}") for n in range(3)]
    report = run(cases, Subject(shared=True), Options(at_once=3))
    assert [result.case.id for result in report.results] == [case.id for case in cases]
    assert [id for id, _ in order][3:] == ["alone0", "alone1", "alone2"]
    assert [count for _, count in order[3:]] == [1, 1, 1]


def test_progress_is_told_and_the_first_failure_may_end_it():
    told = []
    cases = [a_case(fails, f"c{n}") for n in range(10)]
    report = run(cases, Subject(), Options(at_once=1, fail_fast=True), lambda *args: told.append(args))
    assert [(done, of) for _, done, of in told] == [(1, 10)]
    assert len(report.results) == 1


@pytest.mark.parametrize(
    ("severities", "code"),
    [
        ([], 0),
        ([Severity.TOLERATED], 4),
        ([Severity.SHOULD, Severity.TOLERATED], 3),
        ([Severity.TOLERATED, Severity.MUST], 1),
    ],
)
def test_the_exit_status_tells_the_worst(severities, code):
    cases = [a_case(holds, "good")] + [a_case(fails, str(n), severity=s) for n, s in enumerate(severities)]
    assert run(cases, Subject(), Options(attempts=1)).exit_code == code


def test_the_exit_status_tells_what_could_not_be_judged():
    assert run([a_case(lambda _: 1 / 0)], Subject(), Options(attempts=1)).exit_code == 2
    assert run([], Subject(), Options()).exit_code == 2


def test_areas_at_fault_are_counted():
    cases = [a_case(fails, str(n), area=area) for n, area in enumerate((Area.CRC, Area.PING, Area.CRC))]
    assert run(cases, Subject(), Options(attempts=1)).areas_at_fault == {Area.CRC: 2, Area.PING: 1}
