"""The plans in which each seeded bug shows hold all laws without it. `make mutants` runs them with each bug."""

import random

import pytest

from serfcompat.sim import plans
from serfcompat.sim.scenario import read

from .plans_of_tests import run
from .seeded_bugs import BUGS

pytestmark = pytest.mark.sim


@pytest.mark.parametrize("number", sorted({bug.plan for bug in BUGS if not bug.scenario}))
def test_the_plan_holds_all_laws(number):
    outcome = run(number)
    assert outcome.broken is None, outcome.error


@pytest.mark.parametrize("text", sorted({bug.scenario for bug in BUGS if bug.scenario}))
def test_the_scenario_holds_all_laws(text):
    outcome = plans.run(read(text), random.Random)
    assert outcome.broken is None, outcome.error
