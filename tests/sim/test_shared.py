import pytest
from hypothesis import given
from hypothesis import strategies as st

from serfcompat.sim.shared import SharedDict, own
from serfcompat.swim.events import NodeState
from serfcompat.swim.table import Node

KEYS = st.sampled_from([b"a", b"b", b"c", b"d", b"e"])
BASE = {b"a": 1, b"b": 2, b"c": 3}


@pytest.mark.property
@given(st.lists(st.tuples(st.sampled_from(["set", "del", "pop"]), KEYS, st.integers())))
def test_it_behaves_as_a_dict_that_was_copied(actions):
    shared, plain = SharedDict(BASE), dict(BASE)
    for action, key, value in actions:
        if action == "set":
            shared[key] = plain[key] = value
        elif action == "pop":
            assert shared.pop(key, None) == plain.pop(key, None)
        elif key in plain:
            del shared[key], plain[key]
        else:
            with pytest.raises(KeyError):
                del shared[key]
        assert len(shared) == len(plain)
        assert sorted(shared) == sorted(plain)
        assert sorted(shared.items()) == sorted(plain.items())
        assert sorted(shared.values()) == sorted(plain.values())
        assert {k: shared.get(k) for k in (b"a", b"d")} == {k: plain.get(k) for k in (b"a", b"d")}
        assert (key in shared) is (key in plain)
    assert BASE == {b"a": 1, b"b": 2, b"c": 3}


def test_a_missing_key_is_an_error_and_has_a_default():
    shared = SharedDict(BASE)
    with pytest.raises(KeyError):
        shared[b"z"]
    with pytest.raises(KeyError):
        shared.pop(b"z")
    assert shared.get(b"z", 9) == 9
    assert list(shared.keys()) == [b"a", b"b", b"c"]


def test_only_the_table_that_changes_a_node_sees_the_change():
    node = Node(b"n", 1, NodeState.ALIVE, addr=b"\x0a\0\0\1")
    base = {b"n": node}
    tables = [(SharedDict(base), [node]) for _ in range(2)]
    (mine, ring), (other, other_ring) = tables
    take = own(base, lambda: mine, lambda: ring)
    taken = take(node)
    taken.become(NodeState.DEAD, 2, now_ns=5)
    assert mine[b"n"] is ring[0] is taken
    assert take(taken) is taken
    assert other[b"n"] is other_ring[0] is node
    assert (node.state, taken.addr) == (NodeState.ALIVE, node.addr)
