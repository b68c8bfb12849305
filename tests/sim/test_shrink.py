"""A failing plan shrinks to what makes it fail."""

import random

import pytest

from serfcompat.sim import plans
from serfcompat.sim.scenario import read
from serfcompat.sim.shrink import shrink
from serfcompat.sim.watch import Broken, Watch

from .plans_of_tests import plan
from .seeded_bugs import BUGS, seeded

pytestmark = pytest.mark.sim


def test_leaves_out_all_that_does_not_matter():
    wanted = {("crash", "n2"), ("pause", "n3")}
    runs = []

    def fails(scenario):
        runs.append(scenario)
        return wanted <= {line.words for line in scenario.lines}

    text = "nodes 20\nsnapshots\nset suspicion_mult 5\nrun 5m\n" + "\n".join(
        f"at {10 + i}s {words} for 20s"
        for i, words in enumerate(["loss 5%", "crash n2", "unplug n9", "pause n3", "slow n4 by 1s", "clock n5 150%"])
    )
    shrunk = shrink(read(text), fails)
    assert {line.words for line in shrunk.lines} == wanted
    assert (shrunk.nodes, shrunk.settings, shrunk.snapshots, shrunk.run_ns) == (3, (), False, 0)
    assert all(line.for_ns < 2_000_000_000 for line in shrunk.lines)
    assert shrunk.lines[0].at_ns <= 1_000_000_000
    assert len(runs) < 100


def test_stops_after_so_many_runs():
    runs = []
    scenario = plan(3)
    assert shrink(scenario, lambda s: runs.append(s) or False, most_runs=7) == scenario
    assert len(runs) == 7


SUSPECTED_FOR_LONG = """
seed 7
nodes 8
loss 2%
at 3s duplicate 20% for 10s
at 4s block n1 -> n2 for 4s
at 5s slow n7 by 200ms for 5s
at 6s pause n3
at 8s event n1 deploy
at 9s latency 1ms..20ms for 5s
run 30s
"""


def test_a_real_failure_becomes_a_short_scenario_that_still_fails():
    bug = next(bug for bug in BUGS if bug.name == "one accuser confirms twice")

    def fails(scenario):
        try:
            scenario.play(random.Random, [Watch(plans.laws_for(scenario))])
        except Broken as error:
            return error.law in bug.laws
        return False

    scenario = read(SUSPECTED_FOR_LONG)
    assert not fails(scenario)
    with seeded(bug):
        assert fails(scenario)
        shrunk = shrink(scenario, fails, most_runs=60)
        assert fails(read(str(shrunk)))
    assert [line.words for line in shrunk.lines] == [("pause", "n3")]
    assert not fails(shrunk)
