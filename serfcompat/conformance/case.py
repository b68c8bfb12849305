"""What a case is: a statement about every implementation, and a function that tries to refute it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from serfcompat.errors import SerfCompatError


class Area(StrEnum):
    """The part of the protocols that a case is about; a broken rule shows up in its area."""

    PING = "ping"
    INDIRECT = "indirect-ping"
    PROBE = "probe"
    SUSPICION = "suspicion"
    CLAIMS = "claims"
    REFUTE = "refutation"
    GOSSIP = "gossip"
    COMPOUND = "compound"
    COMPRESS = "compression"
    CRC = "crc"
    ENCRYPT = "encryption"
    LABEL = "label"
    STREAM = "stream"
    PUSH_PULL = "push-pull"
    LIMITS = "limits"
    READING = "reading"
    BYTES = "bytes"
    MEMBERSHIP = "membership"
    INTENTS = "intents"
    EVENTS = "events"
    QUERIES = "queries"
    TAGS = "tags"
    KEYS = "keys"
    COORDINATES = "coordinates"
    SNAPSHOT = "snapshot"
    RPC = "rpc"
    CLI = "cli"


AREAS = {
    Area.PING: "Pings and their acks",
    Area.INDIRECT: "Pings on behalf of others, and nacks",
    Area.PROBE: "How a node looks after others: direct, indirect and TCP pings",
    Area.SUSPICION: "How long a suspect may live, and who shortens that",
    Area.CLAIMS: "Which claims about nodes are believed",
    Area.REFUTE: "What a node does about false claims about itself",
    Area.GOSSIP: "How news spread: to whom, how often, in how large packets",
    Area.COMPOUND: "Several messages in one packet",
    Area.COMPRESS: "LZW",
    Area.CRC: "Checksums of packets",
    Area.ENCRYPT: "AES-GCM envelopes of packets and streams",
    Area.LABEL: "Labels that keep clusters apart",
    Area.STREAM: "What happens on TCP connections",
    Area.PUSH_PULL: "The exchange of full state",
    Area.LIMITS: "Sizes and numbers that must not be exceeded",
    Area.READING: "Forms of msgpack that must be understood, or refused",
    Area.BYTES: "Whether the bytes that are sent are those of Go",
    Area.MEMBERSHIP: "Joining, leaving, failing and coming back, as Serf tells it",
    Area.INTENTS: "Serf's join and leave intents and their Lamport times",
    Area.EVENTS: "User events",
    Area.QUERIES: "Queries, filters, answers and relays",
    Area.TAGS: "Tags",
    Area.KEYS: "Changing the keys of a running cluster",
    Area.COORDINATES: "Network coordinates",
    Area.SNAPSHOT: "What an agent remembers over a restart",
    Area.RPC: "The RPC protocol of agents",
    Area.CLI: "The command line",
}
"What each area is about."


class Severity(StrEnum):
    """How bad it is if the statement doesn't hold."""

    MUST = "must"
    "Real clusters break: members don't understand each other, or hold different views."
    SHOULD = "should"
    "Works among well-behaved nodes; costs robustness, speed or parity of what users see."
    TOLERATED = "tolerated"
    "Go takes it, but writes other bytes itself. Some versions, tools or later rules may not be so kind."


class Level(StrEnum):
    """What a case needs of the program."""

    MEMBERLIST = "memberlist"
    "A node's address. Only packets and streams go to and fro."
    AGENT = "agent"
    "A command to start agents with Serf's flags and RPC."


class Need(StrEnum):
    """What the node at the other end must be like."""

    KEY = "key"
    NO_KEY = "no key"
    LABEL = "label"
    NO_LABEL = "no label"
    SERF = "serf"
    "It is a Serf agent, so that its acks and states carry Serf's part."


class Broken(SerfCompatError):
    """The statement doesn't hold. Nothing is wrong with the kit, which goes on with other cases."""

    def __init__(self, expected: str, seen: object, *, area: Area | None = None, evidence: Sequence[str] = ()) -> None:
        """
        Args:
            area: The part that is really at fault, if it isn't the case's own.
            evidence: Decoded packets or other lines to show, before those of the whole exchange.
        """
        self.expected = expected
        self.seen = seen if isinstance(seen, str) else repr(seen)
        self.area = area
        self.evidence = tuple(evidence)
        super().__init__(f"expected {expected}; seen: {self.seen}")


class NotApplicable(SerfCompatError):
    """The case says nothing about this program; the text says why."""


def expect(holds: object, expected: str, seen: object = "it is not so", *, evidence: Sequence[str] = ()) -> None:
    """Raise Broken unless something holds."""
    if not holds:
        raise Broken(expected, seen, evidence=evidence)


@dataclass(frozen=True, slots=True)
class Case:
    """One statement and the function that tries to refute it."""

    id: str
    "Stable, short, and unique; what `--only` takes."
    area: Area
    level: Level
    statement: str
    "One sentence that a stranger to this project understands."
    proves: tuple[str, ...]
    "Ids of the statements in docs/spec."
    run: Callable[[Any], None] = field(repr=False)
    "Gets a `Bench` (level memberlist) or a `Lab` (level agent). Returns, or raises Broken or NotApplicable."
    severity: Severity = Severity.MUST
    needs: frozenset[Need] = frozenset()
    since: str = ""
    "The release of memberlist (or `serf-…` of Serf) that has the rule; empty: all have it."
    alone: bool = False
    "Nobody else may talk to the node meanwhile, because numbers of nodes or times are judged."
    spoils: bool = False
    "The node is of no use to other cases afterwards."
    limit: float = 60.0
    "Seconds it may take, roughly; long ones are begun first."


CASES: dict[str, Case] = {}
"All cases by id, once `serfcompat.conformance.cases` was loaded (see `catalogue.py`)."


def case(
    id: str,
    area: Area,
    *proves: str,
    severity: Severity = Severity.MUST,
    needs: Sequence[Need] = (),
    since: str = "",
    alone: bool = False,
    spoils: bool = False,
    limit: float = 60.0,
    level: Level = Level.MEMBERLIST,
) -> Callable[[Callable[[Any], None]], Callable[[Any], None]]:
    """Make a function a case; its docstring is the statement."""

    def register(run: Callable[[Any], None]) -> Callable[[Any], None]:
        if id in CASES:
            raise ValueError(f"two cases are called {id}")
        statement = " ".join((inspect.getdoc(run) or "").split())
        if not statement:
            raise ValueError(f"case {id} has no statement: write it as the docstring of {run.__name__}")
        found = Case(
            id, area, level, statement, proves, run, severity, frozenset(needs), since, alone or spoils, spoils, limit
        )
        CASES[id] = found
        return run

    return register
