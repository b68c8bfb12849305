"""Two members of one name: the others vote, and the newcomer has to go, whichever kind either is of."""

from __future__ import annotations

from functools import partial

import pytest

from tests.interop.cases import LIMIT
from tests.interop.mixed import await_members
from tests.interop.scene import Scene, id_of, play

pytestmark = [pytest.mark.interop, pytest.mark.socket, pytest.mark.per_version]


def the_newcomer_has_to_go(case, other, *, known, newcomer):
    with Scene(case, other) as scene:
        agents = [scene.start("go1"), scene.start("x1"), scene.start("twin", kind=known), scene.start("go2")]
        go1, x1, twin, go2 = agents
        for agent in agents[1:]:
            assert agent.client.join([go1.gossip]) == 1
        await_members({agent.name: "alive" for agent in agents}, *agents)
        second = scene.start("twin", kind=newcomer)
        second.client.join([x1.gossip])
        second.wait_for_log("Node name conflicts with another node at", limit=LIMIT)
        # ⚠ A Go agent may have ended before it says that it lost the vote.
        second.wait_for_exit(LIMIT)
        assert not [line for line in second.log if "serf: majority in" in line]
        x1.wait_for_log("Name conflict for 'twin'", limit=LIMIT)
        assert twin.running
        for agent in (go1, x1, go2):
            agent.wait_until(lambda agent=agent: address(agent), lambda found: found == twin.gossip, limit=LIMIT)
            assert str(agent.members()["twin"].status) == "alive"
        return scene.go_complaints()


def address(agent):
    twin = agent.members()["twin"]
    return f"{twin.addr}:{twin.port}"


SCENES = [
    partial(the_newcomer_has_to_go, known=known, newcomer=newcomer)
    for known, newcomer in (("go", "other"), ("other", "go"), ("other", "other"))
]


@pytest.mark.parametrize("scene", SCENES, ids=id_of)
def test_scene(case, scene):
    play(scene, case)
