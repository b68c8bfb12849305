"""How far it is between a Go agent and ours, as both estimate it."""

from __future__ import annotations

import re
from functools import partial

import pytest

from tests.agents import run_serf
from tests.interop.cases import LIMIT
from tests.interop.scene import Scene, id_of, play

pytestmark = [pytest.mark.interop, pytest.mark.socket, pytest.mark.per_version]
ALIKE = 1.0
"Milliseconds between two estimates of the same distance."
PLAUSIBLE = 250.0
"Milliseconds; more than anything takes on one machine, and less than a coordinate that is wrong makes of it."


def rtt(program, at, first, second):
    """Milliseconds as a program estimates them with what an agent knows; None: it can't yet."""
    ran = run_serf(program, "rtt", f"-rpc-addr={at.rpc}", first, second)
    found = re.fullmatch(rf"Estimated {first} <-> {second} rtt: ([0-9.]+) ms\n", ran.out)
    assert found or "Could not find a coordinate" in ran.out, ran
    return float(found[1]) if found else None


def both_estimate_the_same(case, other):
    with Scene(case, other) as scene:
        agents = scene.cluster("go1", "x1")

        def estimates():
            """Both programs at both agents."""
            return [rtt(program, at, "go1", "x1") for program in (f"go-{case.version}", "serfcompat") for at in agents]

        def agree(found):
            known = [value for value in found if value is not None]
            return len(known) == 4 and max(known) - min(known) < ALIKE and 0 < min(known) <= max(known) < PLAUSIBLE

        agents[0].wait_until(estimates, agree, limit=LIMIT)
        return scene.go_complaints()


SCENES = [partial(both_estimate_the_same)]


@pytest.mark.parametrize("scene", SCENES, ids=id_of)
def test_scene(case, scene):
    play(scene, case)
