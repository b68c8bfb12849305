"""The exchange of full state."""

from __future__ import annotations

import select
from contextlib import ExitStack
from functools import partial

from serfcompat.conformance.bench import ALIVE, DEAD, LEFT, SUSPECT, Bench
from serfcompat.conformance.case import Area, Broken, Need, Severity, case, expect
from serfcompat.conformance.cases.stream import closes_silently
from serfcompat.wire.messages import PushPullHeader, PushPullNode
from serfcompat.wire.stream import push_pull_message
from serfcompat.wire.types import MAX_PUSH_PULL_NODES, MAX_USER_STATE

MODERN = "0.6.0"
"Releases before crash at numbers that are too large or negative."


@case("push-pull-answer", Area.PUSH_PULL, "M-060", "M-064")
def state_is_answered_with_state(bench: Bench) -> None:
    """A push/pull is answered with the state of all nodes, the node itself among them, each with six version bytes."""
    state = bench.state()
    expect(bench.me.name in {node.name for node in state.nodes}, "the node itself in its state", state.nodes)
    odd = [node for node in state.nodes if len(node.vsn or b"") != 6]
    expect(not odd, "six version bytes of each node", odd)
    odd = [node for node in state.nodes if len(node.addr or b"") not in (4, 16)]
    expect(not odd, "an address of 4 or 16 bytes of each node", odd)


@case("push-pull-join-flag", Area.PUSH_PULL, "M-063")
def the_join_flag_is_echoed(bench: Bench) -> None:
    """The answer has the same join flag as the request."""
    for join in (True, False):
        state = bench.exchange([], join=join)
        expect(state.join == join, f"join={join} in the answer", f"join={state.join}")


@case("push-pull-all-states", Area.PUSH_PULL, "M-064", "M-176")
def nodes_in_every_state_are_told_of(bench: Bench) -> None:
    """The state has alive, suspect, dead and left nodes, each with its state."""
    alive, suspect, left = bench.member("alive"), bench.member("suspect"), bench.member("left")
    dead = bench.member("dead")
    bench.tell(alive.suspect(suspect.name, 1))
    bench.tell(alive.dead(dead.name, 1))
    bench.tell(left.dead(left.name, 1))
    for member, state in ((alive, ALIVE), (suspect, SUSPECT), (dead, DEAD), (left, LEFT)):
        bench.wait_for_state(member, state)


@case("push-pull-merged", Area.PUSH_PULL, "M-062", "M-115")
def state_is_merged(bench: Bench) -> None:
    """Nodes in the state that the other end sends become known; what the node answers is its state from before."""
    entry = bench.new_entry("merged", meta=b"kit")
    answer = bench.exchange([entry])
    expect(
        entry.name not in {node.name for node in answer.nodes}, "the state before the merge as an answer", answer.nodes
    )
    known = bench.wait_for_entry(entry.name, lambda found: found is not None, "known")
    found = known and (known.addr, known.port, known.meta, known.incarnation, known.vsn)
    wanted = (entry.addr, entry.port, entry.meta, entry.incarnation, entry.vsn)
    expect(found == wanted, f"the node as it was told: {wanted}", found)


@case("push-pull-dead-is-suspect", Area.PUSH_PULL, "M-176")
def the_dead_are_merged_as_suspects(bench: Bench) -> None:
    """A node that the other end holds to be dead is merely suspected: it may still refute. One that left has left."""
    dead, left = bench.member("dead"), bench.member("left")
    entries = [
        PushPullNode(peer.name, peer.ip, peer.port, None, 1, state, peer.vsn)
        for peer, state in ((dead, DEAD), (left, LEFT))
    ]
    bench.exchange(entries)
    bench.wait_for_state(dead, SUSPECT)
    bench.wait_for_state(left, LEFT)


@case("push-pull-unknown-state", Area.PUSH_PULL, "M-176")
def unknown_states_are_ignored(bench: Bench) -> None:
    """A node state of a number that nobody knows is ignored, and the others are merged."""
    strange, good = bench.new_entry("strange", state=7), bench.new_entry("good")
    bench.exchange([strange, good])
    bench.wait_for_entry(good.name, lambda found: found is not None, "known")
    found = bench.entry(strange.name)
    expect(found is None, "nothing about a node in state 7", found)


@case("push-pull-versions", Area.PUSH_PULL, "M-062", "M-178")
def incompatible_versions_stop_the_merge(bench: Bench) -> None:
    """If a node in the state speaks a version that others don't understand, the state is answered, but nothing
    is merged.
    """
    low, high, _, dmin, dmax, dcur = bench.me.vsn or bytes(6)
    future = bench.new_entry("future", vsn=bytes((low, high, high + 9, dmin, dmax, dcur)))
    good = bench.new_entry("good")
    answer = bench.exchange([good, future])
    expect(answer.nodes, "the node's state as an answer, before any check", answer)
    bench.settle()
    known = bench.nodes()
    expect(good.name not in known, "nothing is merged of a state with an incompatible node", known.get(good.name))


@case("push-pull-no-versions", Area.PUSH_PULL, "M-179")
def a_node_without_versions_stops_the_merge(bench: Bench) -> None:
    """A node without versions in the state makes the merge fail: it speaks version 0, which nobody understands."""
    bare, good = bench.new_entry("bare", vsn=None), bench.new_entry("good")
    bench.exchange([good, bare])
    bench.settle()
    found = bench.entry(good.name)
    expect(found is None, "nothing is merged of a state with a node without versions", found)


@case("push-pull-port-0", Area.PUSH_PULL, "M-068")
def port_0_means_the_same_port(bench: Bench) -> None:
    """Port 0 of a node in the state stands for the port that the reader itself listens on."""
    entry = bench.new_entry("portless", port=0)
    bench.exchange([entry])
    known = bench.wait_for_entry(entry.name, lambda found: found is not None, "known")
    expect(known and known.port == bench.node.port, f"port {bench.node.port}", known)


@case("push-pull-names", Area.PUSH_PULL, "M-092", needs=[Need.SERF])
def names_are_bytes(bench: Bench) -> None:
    """Names that aren't UTF-8 are kept byte by byte; programs on memberlist may take them worse than it does itself."""
    entry = bench.new_entry("bytes", name=bench.new_name("bytes").encode() + b"\xff\xfe\x80")
    bench.exchange([entry])
    bench.wait_for_entry(entry.name, lambda found: found is not None, "known under the same bytes")


@case("push-pull-empty-meta", Area.PUSH_PULL, "M-093", severity=Severity.SHOULD, since="0.5.1")
def nil_and_empty_metadata_are_told_apart(bench: Bench) -> None:
    """Metadata that are nil, and metadata that are empty, are passed on as they came."""
    for meta in (None, b""):
        entry = bench.new_entry("meta", meta=meta)
        bench.exchange([entry])
        known = bench.wait_for_entry(entry.name, lambda found: found is not None, "known")
        expect(known and known.meta == meta, f"metadata {meta!r}", known)


@case("push-pull-broken", Area.PUSH_PULL, "M-058")
def a_broken_state_is_hung_up_on(bench: Bench) -> None:
    """A state whose nodes can't be read, or that ends too early, is not answered, not even with an error."""
    entry = bench.new_entry("cut")
    whole = push_pull_message(False, [entry, entry], b"state")
    bad = PushPullHeader(2, 0, False).encode() + b"\x81\xa4Name\xc3" * 2
    for data in (bad, whole[:-3], whole[:40]):
        with bench.stranger().dial(bench.node.address) as stream:
            stream.send(data)
            stream.finish()
            closes_silently(bench, stream, "a state that can't be read")
    bench.lives("broken states")
    found = bench.entry(entry.name)
    expect(found is None, "nothing is merged of a state that ends too early", found)


@case("push-pull-node-count", Area.LIMITS, "M-065", since=MODERN)
def absurd_numbers_of_nodes_are_refused(bench: Bench) -> None:
    """A negative number of nodes, or one over 1 048 576, is hung up on at once."""
    for nodes in (-1, MAX_PUSH_PULL_NODES + 1, 2**31 - 1, 2**62):
        with bench.stranger().dial(bench.node.address) as stream:
            stream.send(PushPullHeader(nodes, 0, False).encode())
            closes_silently(bench, stream, f"a state of {nodes} nodes", limit=_at_once(bench))
    bench.lives("absurd numbers of nodes")


@case("push-pull-state-size", Area.LIMITS, "M-066", since=MODERN)
def absurd_sizes_of_state_are_refused(bench: Bench) -> None:
    """A negative size of the application's state, or one over 20 MiB, is hung up on at once."""
    for size in (-1, MAX_USER_STATE + 1, 2**62):
        with bench.stranger().dial(bench.node.address) as stream:
            stream.send(PushPullHeader(0, size, False).encode())
            closes_silently(bench, stream, f"a state with {size} bytes of the application", limit=_at_once(bench))
    bench.lives("absurd sizes of state")


def _at_once(bench: Bench) -> float:
    """Seconds that are clearly less than the node would wait for bytes that don't come."""
    return max(0.7, 0.8 * bench.node.timing.tcp_timeout)


@case(
    "push-pull-at-once", Area.LIMITS, "M-069", needs=[Need.NO_KEY, Need.NO_LABEL], alone=True, severity=Severity.SHOULD
)
def the_128th_exchange_at_once_is_refused(bench: Bench) -> None:
    """A node serves 127 exchanges of state at the same time; one more is hung up on without an answer."""
    end = bench.stranger()
    beginning = push_pull_message(False, (), None)[:5]
    with ExitStack() as stack:
        streams = [stack.enter_context(end.dial(bench.node.address)) for _ in range(128)]
        for stream in streams:
            stream.send_raw(beginning)
        # All others wait for the rest of a message, until the TCP timeout is over.
        ended, _, _ = select.select(streams, (), (), 0.5 * bench.node.timing.tcp_timeout)
        expect(ended, "one of 128 exchanges is hung up on at once", "all of them are waited for")
        for stream in ended:
            answer = stream.receive_some()
            expect(not answer, "no answer to one too many", f"{len(answer)} bytes")
        expect(len(ended) <= 2, "127 exchanges at once are served", f"{len(ended)} of 128 were hung up on")
    bench.wait(partial(_serves, bench), bool, "an answer to a push/pull again when the others are gone")


def _serves(bench: Bench) -> bool:
    try:
        return bool(bench.state().nodes)
    except Broken:
        return False
