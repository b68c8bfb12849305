"""The random plans that the tests run: always the same ones, by number."""

import random

from serfcompat.sim import plans
from serfcompat.sim.scenario import Scenario


def plan(number: int) -> Scenario:
    return plans.make(str(number), random.Random(f"plan {number}"))


def run(number: int) -> plans.Outcome:
    return plans.run(plan(number), random.Random)
