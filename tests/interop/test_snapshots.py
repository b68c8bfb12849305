"""A Go agent starts again from our snapshot, and one of ours from a Go agent's."""

from __future__ import annotations

import json
import signal
from functools import partial

import pytest

from serfcompat.serf.events import UserEvent
from tests.interop.cases import LIMIT
from tests.interop.mixed import await_members
from tests.interop.scene import Scene, id_of, play

pytestmark = [pytest.mark.interop, pytest.mark.socket, pytest.mark.per_version]
ALL = dict.fromkeys(("go1", "x1", "mortal"), "alive")


class Succession:
    """Two agents that stay, and one with a snapshot that heard two events, one of them from before it joined."""

    def __init__(self, scene, kind, *flags):
        config = scene.folder / "agent.json"
        config.write_text(json.dumps({"skip_leave_on_interrupt": True}))
        self._scene = scene
        self._flags = [f"-config-file={config}", f"-snapshot={scene.folder / 'snapshot'}", *flags]
        self.staying = scene.cluster("go1", "x1")
        self.staying[0].client.user_event("before")
        self.mortal = scene.start("mortal", *self._flags, kind=kind)
        listener = scene.listen(self.mortal)
        assert self.mortal.client.join([self.staying[0].gossip], replay=True) == 1
        listener.wait_for_user_event("before", limit=LIMIT)
        self.staying[1].client.user_event("during")
        listener.wait_for_user_event("during", limit=LIMIT)
        await_members(ALL, *self.staying, self.mortal)

    def heir(self, kind, *flags):
        """Another agent under its name, at its address, with its snapshot."""
        return self._scene.start("mortal", *self._flags, *flags, host=self.mortal.host, kind=kind)


def one_goes_on_where_the_other_stopped(case, other, *, first, second):
    """It rejoins by itself, and hears no event again that its predecessor had heard."""
    with Scene(case, other) as scene:
        succession = Succession(scene, first)
        staying = succession.staying
        succession.mortal.process.send_signal(signal.SIGINT)  # it ends without leaving
        succession.mortal.wait_for_exit(LIMIT)
        await_members({"mortal": "failed"}, *staying)
        heir = succession.heir(second, "-tag=life=2")
        listener = scene.listen(heir)
        heir.wait_for_log("e-joined to previously known node", limit=LIMIT)
        await_members(ALL, *staying, heir)
        for agent in staying:
            agent.wait_until(agent.members, lambda members: members["mortal"].tags.get("life") == "2", limit=LIMIT)
        staying[0].client.user_event("after")
        listener.wait_for_user_event("after", limit=LIMIT)
        assert [event.name for event in listener.heard if isinstance(event, UserEvent)] == ["after"]
        return scene.go_complaints()


def one_that_left_stays_out(case, other, *, first, second):
    with Scene(case, other) as scene:
        succession = Succession(scene, first)
        assert succession.mortal.leave(LIMIT) == 0
        await_members({"mortal": "left"}, *succession.staying)
        heir = succession.heir(second)
        # An agent begins to rejoin before it says that it serves.
        assert set(heir.members()) == {"mortal"}
        assert not [line for line in heir.log if "joined to previously known node" in line]
        return scene.go_complaints()


def one_that_left_rejoins_if_told_to(case, other, *, first, second):
    with Scene(case, other) as scene:
        succession = Succession(scene, first, "-rejoin")
        assert succession.mortal.leave(LIMIT) == 0
        await_members({"mortal": "left"}, *succession.staying)
        heir = succession.heir(second)
        await_members(ALL, *succession.staying, heir)
        return scene.go_complaints()


SCENES = [
    partial(scene, first=first, second=second)
    for scene in (one_goes_on_where_the_other_stopped, one_that_left_stays_out, one_that_left_rejoins_if_told_to)
    for first, second in (("go", "other"), ("other", "go"))
]


@pytest.mark.parametrize("scene", SCENES, ids=id_of)
def test_scene(case, scene):
    play(scene, case)
