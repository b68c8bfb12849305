"""The cluster's encryption key is changed, by a Go agent and by one of ours, and nobody is locked out."""

from __future__ import annotations

import base64
import json
from functools import partial

import pytest

from tests.interop.cases import LIMIT
from tests.interop.mixed import Mixed, await_members, join
from tests.interop.scene import Scene, id_of, play
from tests.interop.test_events_and_queries import is_user_event

pytestmark = [pytest.mark.interop, pytest.mark.socket, pytest.mark.per_version]

OLD, NEW = bytes(range(16)), bytes(range(32, 64))
OLD_TEXT, NEW_TEXT = (base64.b64encode(key).decode() for key in (OLD, NEW))


def rotate(agent, count):
    """As an operator does it, over one agent's RPC: install, list, use, list, remove, list."""
    for change, key in (
        (agent.client.install_key, NEW_TEXT),
        (agent.client.use_key, NEW_TEXT),
        (agent.client.remove_key, OLD_TEXT),
    ):
        reply = change(key)
        assert (reply.num_nodes, reply.num_resp, reply.num_err) == (count, count, 0), (change.__name__, reply.messages)
        listed = agent.client.list_keys()
        assert not listed.messages
        assert listed.keys == {NEW_TEXT: count} | ({} if key == OLD_TEXT else {OLD_TEXT: count})


def keys_are_changed(case, other, *, by):
    with Scene(case, other, key=OLD) as scene:
        agents = scene.cluster("go1", "x1", "go2", "x2")
        rotate(agents[0] if by == "go" else agents[1], len(agents))
        for agent in agents:
            assert agent.client.list_keys().keys == {NEW_TEXT: len(agents)}
        # All go on talking to one another, and nobody was suspected because of it.
        go = scene.listen(agents[0])
        ours = scene.listen(agents[1])
        agents[3].client.user_event("from-ours")
        agents[2].client.user_event("from-go")
        for listener in (go, ours):
            listener.wait_for_user_event("from-ours", limit=LIMIT)
            listener.wait_for_user_event("from-go", limit=LIMIT)
        await_members({agent.name: "alive" for agent in agents}, *agents)
        assert not [line for agent in agents for line in agent.log if "EventMemberFailed" in line]
        return scene.go_complaints()


def keyring_files_are_written_and_start_the_other_kind(case, other, *, by):
    """Each kind's file, as the rotation left it, is what the other kind starts with."""
    with Scene(case, other, key=OLD) as scene:
        files = {name: scene.folder / f"{name}.json" for name in ("go1", "x1")}
        for file in files.values():
            file.write_text(json.dumps([OLD_TEXT]))
        agents = [scene.start(name, f"-keyring-file={file}", key=False) for name, file in files.items()]
        third = scene.start("go2")
        join(*agents, third)
        rotate(agents[0] if by == "go" else agents[1], 3)
        assert [json.loads(file.read_text()) for file in files.values()] == [[NEW_TEXT]] * 2
        for agent, kind in zip(agents, ("other", "go"), strict=True):
            assert agent.leave(LIMIT) == 0
            reborn = scene.start(
                agent.name, f"-keyring-file={files[agent.name]}", host=agent.host, kind=kind, key=False
            )
            assert reborn.client.join([third.gossip]) == 1
            await_members({"go2": "alive", agent.name: "alive"}, third, reborn)
        return scene.go_complaints()


SCENES = [
    partial(scene, by=by)
    for scene in (keys_are_changed, keyring_files_are_written_and_start_the_other_kind)
    for by in ("go", "ours")
]


@pytest.mark.parametrize("scene", SCENES, ids=id_of)
def test_scene(case, scene):
    play(scene, case)


def test_ours_rotates_all_at_one_call(case):
    with Mixed(case, key=OLD, profile="lan") as mixed:
        ours, go, other = mixed.ours("ours"), mixed.go("go"), mixed.go("other")
        join(ours, go, other)
        assert ours.serf.keys.rotate(NEW_TEXT).done
        assert go.client.list_keys().keys == {NEW_TEXT: 3}
        go.client.user_event("after")
        ours.wait_for_event(is_user_event("after"))
