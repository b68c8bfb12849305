"""The queries that this node has asked and that are still open."""

from __future__ import annotations

import logging

import gevent
from gevent.lock import Semaphore

from serfcompat.runtime.node import Node
from serfcompat.runtime.query import QueryResponses
from serfcompat.runtime.tcp import ExchangeFailed
from serfcompat.serf.effects import CloseQuery, DeliverAck, DeliverResponse
from serfcompat.serf.engine import SerfEngine
from serfcompat.serf.queries import QueryParams
from serfcompat.serf.selection import expected_to_answer
from serfcompat.wire.address import Address
from serfcompat.wire.large_answer import Reference

FETCHES = 4
"Large answers fetched at once."
UNTAKEN = 8
"Answers of a query that may lie there when another large one is to be fetched."
PATIENCE, _LOOK = 60.0, 0.05
"Seconds that a large answer waits for the caller to take others, and between looks whether it did."


class OpenQueries:
    """From what the engine hears to who asked. Everything here runs on the node's hub."""

    def __init__(self, node: Node[SerfEngine], log: logging.Logger) -> None:
        self._node = node
        self._log = log
        self._open: dict[tuple[int, int], QueryResponses] = {}
        self._fetching: Semaphore | None = None

    def ask(self, name: str, payload: bytes | None, params: QueryParams, *, until_deadline: bool) -> QueryResponses:
        """Send a query. Raises as `Serf.query` does."""
        ring, engine = self._node.ring, self._node.engine
        started = engine.query(name, payload, params, ring.clock.now_ns())
        answers = QueryResponses(
            started.key,
            home_thread=self._node.home_thread,
            request_ack=params.request_ack,
            expected=expected_to_answer(engine.members(), params.filter_nodes, params.filter_tags, self._log),
            until_deadline=until_deadline,
            large=params.large_answers,
            stop=lambda: self._stop(started.key),
        )
        self._open[started.key] = answers
        ring.perform(started.effects)
        return answers

    def hear(self, effect: DeliverAck | DeliverResponse | CloseQuery) -> None:
        """Something for one of them; what comes too late is nobody's."""
        match effect:
            case DeliverAck(key, from_):
                if (answers := self._open.get(key)) is not None:
                    answers.add_ack(from_)
                self._node.engine.query_taken(key, acks=1)
            case DeliverResponse(key, from_, payload):
                if (answers := self._open.get(key)) is not None:
                    self._take(answers, from_, payload)
                # What was handed over is taken: the caller's queue holds one answer per node, no more.
                self._node.engine.query_taken(key, responses=1)
            case CloseQuery(key):
                if (answers := self._open.pop(key, None)) is not None:
                    answers.end_when_fetched()

    def _take(self, answers: QueryResponses, from_: str, payload: bytes | None) -> None:
        reference = Reference.parse(payload) if answers.large else None
        if reference is None:
            answers.add_response(from_, payload)
        else:
            answers.fetching += 1
            self._node.ring.spawn(self._fetch, answers, from_, reference)

    def _fetch(self, answers: QueryResponses, from_: str, reference: Reference) -> None:
        """Get an answer that came as a reference. If that fails, the node has not answered.

        ⚠ A thousand nodes may answer with 16 MiB each: few are fetched at once, and none before there is room.
        """
        try:
            if self._fetching is None:
                self._fetching = Semaphore(FETCHES)
            with self._fetching:
                self._await_room(answers)
                member = next(member for member in self._node.engine.members() if member.name == from_)
                answer = self._node.ring.fetch(Address(member.addr_bytes, member.port), reference)
        except (OSError, ExchangeFailed, StopIteration) as error:
            self._log.warning(
                "serf: the answer of %r (%d bytes) could not be fetched: %s", from_, reference.size, error
            )
        else:
            answers.add_response(from_, answer)
        finally:
            answers.fetched()

    def _await_room(self, answers: QueryResponses) -> None:
        """Wait until the caller has taken most of what is there. Raises ExchangeFailed."""
        for _ in range(round(PATIENCE / _LOOK)):
            if answers.finished:
                raise ExchangeFailed("the caller wants no more answers")
            if answers.untaken < UNTAKEN:
                return
            gevent.sleep(_LOOK)
        raise ExchangeFailed(f"{UNTAKEN} answers lay there for {PATIENCE} s, and nobody took one")

    def end(self) -> None:
        """The node ends: nobody waits any longer."""
        for answers in list(self._open.values()):
            answers.end()

    def abandon(self) -> None:
        """In a forked child: the answers go to the parent."""
        for answers in self._open.values():
            answers.abandon()
        self._open.clear()

    def _stop(self, key: tuple[int, int]) -> None:
        if self._node.running:
            self._node.step(lambda engine, now_ns: engine.close_query(key, now_ns))
