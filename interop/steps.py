"""What every cluster of the matrix goes through, whatever it is made of."""

from __future__ import annotations

import base64
import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from interop.cells import Group
from serfcompat.errors import RPCError, SerfCompatError
from serfcompat.rpc.client import Client
from serfcompat.rpc.records import QueryRecord
from serfcompat.rpc.replies import KeyReply
from serfcompat.serf.member import Member
from serfcompat.testing.listener import Listener
from serfcompat.testing.mixed import AGREES, MixedCluster
from serfcompat.testing.node import Node
from serfcompat.testing.programs import NotHere

QUERIES_SINCE = 4
"The first version of Serf's protocol that has queries."
TRIES = 5
"Times that something is tried that only gossip brings about, and no push/pull makes up for."
GOSSIP = 5.0
"Seconds within which gossip reaches whom it ever does."


@dataclass
class Outcome:
    """What came of a cluster."""

    wrong: str = ""
    "What was wrong in the step that failed; empty: nothing."
    step: str = ""
    "The step that failed."
    missing: str = ""
    "Why the cluster couldn't be had on this back end; then nothing was tried."
    seconds: float = 0.0
    attempts: int = 1
    steps: dict[str, float] = field(default_factory=dict)
    "Seconds that each step took."

    @property
    def good(self) -> bool:
        return not self.wrong and not self.missing


def run(group: Group, options: Mapping[str, Any], on: str, keep: Path) -> Outcome:
    """Take a cluster through all steps. One that fails ends it, since the others build on it."""
    told = dict(options)
    rotate = bool(told.pop("rotate", False))
    outcome = Outcome(step="start")
    began = time.monotonic()
    try:
        with (
            MixedCluster(go=group.go or 0, py=group.py or 0, on=on, keep=keep, **told) as cluster,
            ExitStack() as stack,
        ):
            steps = Steps(cluster, stack, told.get("protocol", 5))
            outcome.steps["start"] = time.monotonic() - began
            for step in (*BEFORE, *([Steps.rotate] if rotate else []), *AFTER):
                outcome.step, at = step.__name__, time.monotonic()
                step(steps)
                outcome.steps[step.__name__] = time.monotonic() - at
            outcome.step = ""
    except NotHere as error:
        outcome.missing = str(error)
    except (SerfCompatError, AssertionError, TimeoutError, OSError) as error:
        outcome.wrong = "\n".join([f"{type(error).__name__}: {error}", *getattr(error, "__notes__", ())])
    outcome.seconds = time.monotonic() - began
    return outcome


class Steps:
    """A running cluster, and what is to be done with it."""

    def __init__(self, cluster: MixedCluster, stack: ExitStack, protocol: int = 5) -> None:
        self.cluster = cluster
        self._protocol = protocol
        self._stack = stack
        self._listeners: dict[str, Listener] = {}
        for name in cluster.nodes:
            self._follow(name)

    def members(self) -> None:
        """All see the same: addresses, tags, versions."""
        views = {name: _table(seen) for name, seen in self.cluster.wait_until_whole().items()}
        reference = next(iter(views.values()))
        assert len(reference) == len(self.cluster.nodes), reference
        for name, view in views.items():
            assert view == reference, f"{name} sees {view}, another one {reference}"

    def events(self) -> None:
        """A user event of each kind of node reaches everybody, once, with the same payload and Lamport time."""
        for node in self._one_of_each():
            event = f"event-{node.name}"
            node.client.user_event(event, b"\x00\xff of " + node.name.encode())
            heard = [each.wait_for_user_event(event, limit=AGREES) for each in self._listeners.values()]
            assert {each.payload for each in heard} == {b"\x00\xff of " + node.name.encode()}
            assert len({each.ltime for each in heard}) == 1, heard
        for listener in self._listeners.values():
            names = [str(event) for event in listener.heard if str(event).startswith("user-event: event-")]
            assert len(names) == len(set(names)), names

    def queries(self) -> None:
        """A query of each kind of node is acknowledged and answered by everybody; old protocols have none."""
        for node in self._one_of_each():
            if self._protocol >= QUERIES_SINCE:
                _several_times(lambda node=node: self._ask(node))
                continue
            answer = "nothing"
            try:
                self._ask(node)
            except RPCError as error:
                answer = str(error)
            assert answer == "Feature not supported", f"{node.name}'s query in protocol {self._protocol}: {answer}"

    def tags(self) -> None:
        """A new tag of each kind of node is seen by everybody; the oldest protocol knows no other one than this."""
        for node in self._one_of_each():
            node.client.update_tags({"role": f"of {node.name}"})
            for other in self.cluster.up:
                other.wait_until(
                    other.members,
                    lambda seen, node=node: seen[node.name].tags.get("role") == f"of {node.name}",
                    limit=AGREES,
                )

    def rotate(self) -> None:
        """The key is changed by one node of each kind in turn, and nobody is locked out."""
        old = self.cluster.key
        assert old is not None
        new = secrets.token_bytes(len(old))
        nodes = self._one_of_each()
        first, last = nodes[0], nodes[-1]
        self._everybody(first, lambda client: client.install_key(_text(new)))
        self._everybody(last, lambda client: client.use_key(_text(new)))
        self._everybody(first, lambda client: client.remove_key(_text(old)))
        self.cluster.key = new
        for node in nodes:
            reply = self._everybody(node, lambda client: client.list_keys())
            assert reply.keys == {_text(new): len(self.cluster.nodes)}, reply.keys
        first.client.user_event("under-the-new-key", None)
        for listener in self._listeners.values():
            listener.wait_for_user_event("under-the-new-key", limit=AGREES)

    def kill(self) -> None:
        """One dies without a word, and everybody reports it as failed."""
        victim = list(self.cluster.nodes)[-1]
        self._listeners.pop(victim)
        self.cluster.kill(victim)
        self.cluster.wait_for({victim: "failed"})
        for listener in self._listeners.values():
            listener.wait_for_member_event("member-failed", victim, limit=AGREES)

    def come_back(self) -> None:
        """It begins a new life under its old name, and everybody sees it."""
        name = list(self.cluster.nodes)[-1]
        self.cluster.restart(name, "-tag=role=second-life")
        self._follow(name)
        for node in self.cluster.up:
            node.wait_until(
                node.members,
                lambda seen: str(seen[name].status) == "alive" and seen[name].tags.get("role") == "second-life",
                limit=AGREES,
            )
        self.cluster.wait_until_whole()

    def leave(self) -> None:
        """The first leaves, and everybody knows that it left."""
        name = next(iter(self.cluster.nodes))
        self._listeners.pop(name)
        self.cluster.leave(name)
        self.cluster.wait_for({name: "left"})
        for listener in self._listeners.values():
            listener.wait_for_member_event("member-leave", name, limit=AGREES)

    # -- below the steps ----------------------------------------------------------------------

    def _follow(self, name: str) -> None:
        listener = Listener(self.cluster[name].rpc, answers={"who": name.encode()})
        self._stack.callback(listener.close)
        self._listeners[name] = listener

    def _one_of_each(self) -> list[Node]:
        """A node of each implementation that is there."""
        return [nodes[0] for nodes in (self.cluster.go, self.cluster.py) if nodes]

    def _ask(self, node: Node) -> None:
        acks, answers = set(), {}
        wanted = set(self.cluster.nodes)
        with node.client.query("who", b"?", request_ack=True, timeout=GOSSIP) as records:
            for record in records:
                if record.type == QueryRecord.ACK:
                    acks.add(record.from_)
                elif record.type == QueryRecord.RESPONSE:
                    answers[record.from_] = record.payload
                if acks >= wanted and answers.keys() >= wanted:
                    break
        # ⚠ Go agents also bring records of nobody, near a query's end.
        acks.discard("")
        answers.pop("", None)
        assert acks == wanted, f"{node.name}'s query was acknowledged by {acks}"
        assert answers == {each: each.encode() for each in wanted}, f"{node.name}'s query was answered by {answers}"

    def _everybody(self, node: Node, ask: Callable[[Client], KeyReply]) -> KeyReply:
        """Ask until every member has answered."""

        def attempt() -> KeyReply:
            reply = ask(node.client)
            assert reply.num_resp == len(self.cluster.nodes), f"{reply.num_resp} answered: {dict(reply.messages)}"
            return reply

        return _several_times(attempt)


BEFORE = (Steps.members, Steps.events, Steps.queries, Steps.tags)
AFTER = (Steps.kill, Steps.come_back, Steps.leave)
ALL = ("start", *(step.__name__ for step in (*BEFORE, Steps.rotate, *AFTER)))


def _several_times(attempt: Callable[[], Any]) -> Any:
    for _ in range(TRIES - 1):
        try:
            return attempt()
        except (SerfCompatError, AssertionError):
            pass
    return attempt()


def _text(key: bytes) -> str:
    return base64.b64encode(key).decode()


def _table(members: Mapping[str, Member]) -> dict[str, tuple[object, ...]]:
    """What all views must agree on."""
    return {
        name: (
            f"{each.addr}:{each.port}",
            sorted(each.tags.items()),
            str(each.status),
            (each.protocol_min, each.protocol_max, each.protocol_cur),
            (each.delegate_min, each.delegate_max, each.delegate_cur),
        )
        for name, each in members.items()
    }
