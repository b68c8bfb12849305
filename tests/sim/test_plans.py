"""Random fault plans under all laws; the first ones always, a thousand in the full run."""

import random

import pytest

from serfcompat.sim import plans
from serfcompat.sim.faults import KINDS

from .plans_of_tests import plan, run

pytestmark = pytest.mark.sim
QUICK, ALL, BATCH = 12, 1000, 20


def laws_hold(numbers):
    failures = [(number, outcome.error) for number in numbers if (outcome := run(number)).broken is not None]
    assert not failures, "\n".join(
        f"plan {number}: {error}\n  to shrink and replay it: serfcompat simulate -plans 1 -first {number}"
        for number, error in failures
    )


@pytest.mark.parametrize("number", range(QUICK))
def test_laws_hold(number):
    laws_hold([number])


@pytest.mark.slow
@pytest.mark.parametrize("first", range(QUICK, ALL, BATCH))
def test_laws_hold_in_all_of_them(first):
    laws_hold(range(first, min(first + BATCH, ALL)))


def test_every_kind_of_fault_is_in_a_hundred_plans(capsys):
    thousand = [plan(number) for number in range(ALL)]
    table = plans.coverage(thousand)
    with capsys.disabled():
        print("\nplans with each kind of fault:", ", ".join(f"{kind} {count}" for kind, count in table.items()))
    assert set(table) == set(KINDS)
    assert min(table.values()) >= 100
    for one in thousand:
        assert plans.FEWEST_NODES <= one.nodes <= plans.MOST_NODES
        assert one.end_ns == plans.STEPS * plans.STEP_NS
        assert all(line.at_ns % plans.STEP_NS == 0 for line in one.lines)
        assert len(plans.kinds_in(one.lines)) >= plans.LEAST_KINDS


def test_the_same_dice_make_the_same_plan():
    assert plan(5) == plan(5) != plan(6)


def test_a_crash_that_is_undone_is_no_kind_of_its_own():
    lines = [plans.Line(0, ("crash", "n1")), plans.Line(5, ("restart", "n1")), plans.Line(9, ("event", "n2", "x"))]
    assert plans.kinds_in(lines) == {"restart"}
    assert plans.kinds_in(lines[:1]) == {"crash"}


def test_an_engine_that_raises_is_a_broken_law(monkeypatch):
    def explode(self, *args):
        raise ZeroDivisionError("boom")

    monkeypatch.setattr("serfcompat.swim.probe.Prober.on_tick", explode)
    outcome = plans.run(plan(1), random.Random)
    assert (outcome.broken, outcome.error) == ("ZeroDivisionError", "ZeroDivisionError: boom")
