"""The application's veto."""

import pytest

from serfcompat.errors import MergeRefused
from serfcompat.serf.merge import judge
from serfcompat.swim.events import NodeState

from .nodes import Config, Node, read_push_pull, view


def judged(*nodes, config=None):
    seen = []
    why = judge(list(nodes), config or Config(), lambda members: seen.extend(members))
    return why, seen


@pytest.mark.statement("S-005")
def test_hooks_are_there_only_with_a_delegate():
    hooks = Node().core.swim.table.hooks
    assert hooks.merge is hooks.alive is None
    hooks = Node(merge=lambda members: None).core.swim.table.hooks
    assert hooks.merge is not None
    assert hooks.alive is not None


@pytest.mark.statement("S-014")
def test_a_veto_stops_the_join_in_its_words():
    a = Node("a", merge=lambda members: "not you" if len(members) > 1 or members[0].name != "a" else None).start()
    b = Node("b").start()
    b.joins("c")
    with pytest.raises(MergeRefused, match="not you"):
        a.engine.merge_remote_state(read_push_pull(b.engine.local_state(True)), True, 0)
    assert [m.name for m in a.engine.members()] == ["a"]


@pytest.mark.statement("S-015")
def test_the_delegate_sees_who_left_and_nothing_else():
    why, members = judged(
        view("a"),
        view("b", state=NodeState.LEFT),
        view("c", state=NodeState.DEAD),
        view("d", state=NodeState.SUSPECT),
    )
    assert why is None
    assert [str(m.status) for m in members] == ["none", "left", "none", "none"]
    assert members[0].address == "10.0.0.9:7946"
    _, [bare, tagged] = judged(view("e", meta=None), view("f", meta=b"\xff\x81\xa1k\xa1v"))
    assert (dict(bare.tags), dict(tagged.tags)) == ({"role": ""}, {"k": "v"})


@pytest.mark.statement("S-016")
@pytest.mark.parametrize("length", [0, 3, 5, 15, 17])
def test_strange_addresses_are_refused(length):
    why, seen = judged(view("a"), view("b", addr=b"x" * length))
    assert why == f"IP byte length is invalid: {length} bytes is not either 4 or 16"
    assert seen == []


@pytest.mark.statement("S-017")
def test_too_much_metadata_is_refused():
    assert judged(view("a", meta=b"x" * 512))[0] is None
    assert judged(view("a", meta=b"x" * 513))[0] == "Encoded length of tags exceeds limit of 512 bytes"


def test_names_are_checked_first_and_only_if_wanted():
    strange = view("under_score", addr=b"")
    assert judged(strange)[0].startswith("IP byte length")
    assert judged(strange, config=Config(validate_node_names=True))[0].startswith("Node name contains")


def test_a_veto_against_single_claims_keeps_a_node_out():
    node = Node("a", merge=lambda members: None if members[0].name == "a" else "no").start()
    other = Node("b").start()
    state = read_push_pull(other.engine.local_state(False))
    node.did(node.engine.merge_remote_state(state, False, 0))
    assert [m.name for m in node.engine.members()] == ["a"]


def test_a_callback_that_fails_keeps_everybody_out_and_the_node_goes_on(caplog):
    def fails(members):
        raise RuntimeError("the application's fault")

    a, b = Node("a").start(), Node("b").start()
    strict = Node("strict", merge=fails)
    b.joins("c")
    with pytest.raises(MergeRefused, match="the merge callback failed"):
        strict.engine.merge_remote_state(read_push_pull(b.engine.local_state(True)), True, 0)
    assert strict.engine.members() == ()
    assert "the application's fault" in caplog.text
    assert a.engine.members() != ()
