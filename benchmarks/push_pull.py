"""Cases 18 to 21: the full state of a cluster of 1000 nodes, the heaviest single thing that a node gets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from benchmarks.case import Case, require
from benchmarks.inputs import Inputs
from benchmarks.node import NOW_NS, new_node, node_that_knows, read_push_pull, thousand_nodes
from serfcompat.wire.stream import PushPull


def cases(inputs: Inputs) -> Iterator[Case]:
    remote = thousand_nodes(inputs)
    require(len({node.name for node in remote.nodes}) == 1000, "the nodes of the push/pull")
    yield Case(18, partial(_merge_new, remote), changes_state=True)
    yield Case(19, partial(_merge_known, remote))
    yield Case(20, lambda: partial(read_push_pull, inputs["pushpull1000"]))
    yield Case(21, partial(_encode, remote))


def _merge_new(remote: PushPull) -> Callable[[], object]:
    return partial(new_node().merge_remote_state, remote, False, NOW_NS)


def _merge_known(remote: PushPull) -> Callable[[], object]:
    node = node_that_knows(remote)
    require(len(node.members()) == 1001, "the members after a merge")
    merge = partial(node.merge_remote_state, remote, False, NOW_NS)
    require(merge() == [], "old news had an effect")
    return merge


def _encode(remote: PushPull) -> Callable[[], object]:
    node = node_that_knows(remote)
    require(len(read_push_pull(node.local_state(False)).nodes) == 1001, "the nodes of our own push/pull")
    return partial(node.local_state, False)
