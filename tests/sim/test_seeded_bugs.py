"""Each bug put into the engines is caught by a law. That the same plans pass without it is shown in `test_plans`."""

import random

import pytest

from serfcompat.sim import plans
from serfcompat.sim.scenario import read

from .plans_of_tests import run
from .seeded_bugs import BUGS, seeded

pytestmark = pytest.mark.sim
MOST_PLANS = 40


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_is_caught(bug):
    scenario = read(bug.scenario) if bug.scenario else None
    with seeded(bug):
        if scenario is not None:
            outcome = plans.run(scenario, random.Random)
        for number in range(bug.plan, bug.plan + MOST_PLANS) if scenario is None else ():
            outcome = run(number)
            if outcome.broken is not None:
                break
    assert outcome.broken in bug.laws, outcome.error
    if scenario is not None:
        assert plans.run(scenario, random.Random).broken is None


def test_names_are_unique():
    assert len({bug.name for bug in BUGS}) == len(BUGS)
