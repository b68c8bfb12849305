"""Serf's three broadcast queues, which ride on memberlist's packets (spec serf §1.6)."""

from __future__ import annotations

import logging
from collections.abc import Hashable

from serfcompat.serf.config import Config
from serfcompat.serf.event_flow import ENTRY_OVERHEAD, EventFlow, OwnEvent
from serfcompat.swim.metrics import Metrics
from serfcompat.swim.queue import TransmitLimitedQueue


class Queues:
    """Intents, queries and user events that wait to be gossiped, in this order of urgency."""

    def __init__(self, retransmit_mult: int) -> None:
        self.intents = TransmitLimitedQueue(retransmit_mult)
        self.queries = TransmitLimitedQueue(retransmit_mult)
        self.events = TransmitLimitedQueue(retransmit_mult)
        self.event_flow = EventFlow(self.events)
        self._by_urgency = (self.intents, self.queries, self.events)

    @property
    def pending(self) -> int:
        """Bytes that wait, as they count in a packet."""
        return sum(queue.size + ENTRY_OVERHEAD * len(queue) for queue in self._by_urgency)

    def broadcasts(self, overhead: int, limit: int, members: int, metrics: Metrics) -> list[bytes]:
        """What fits into `limit` bytes of a packet, each message costing `overhead` more (GetBroadcasts).

        Args:
            members: Members in any status: it bounds how often each message is sent (S-041).
        """
        taken: list[bytes] = []
        for queue in self._by_urgency:
            if not len(queue):
                continue
            some = queue.get(overhead, limit, members)
            for message in some:
                limit -= len(message) + overhead
                metrics.sample("serf.msgs.sent", len(message))
            taken += some
        return taken

    def check_depth(self, config: Config, members: int, log: logging.Logger, metrics: Metrics) -> None:
        """Sample, warn of and cut what grows too long (upstream `checkQueueDepth`)."""
        most = max_depth(config, members)
        for name, queue in (("Intent", self.intents), ("Event", self.events), ("Query", self.queries)):
            depth = len(queue)
            metrics.sample(f"serf.queue.{name}", depth)
            if depth >= config.queue_depth_warning:
                log.warning("serf: %s queue depth: %d", name, depth)
            if depth > most:
                log.warning("serf: %s queue depth (%d) exceeds limit (%d), dropping messages!", name, depth, most)
                queue.prune(most)

    def take_finished(self) -> list[Hashable]:
        """Tokens of messages that are done and that somebody waits for; each is given out once."""
        tokens: list[Hashable] = []
        for queue in self._by_urgency:
            for token in queue.finished:
                if isinstance(token, OwnEvent):
                    self.event_flow.sent(token)
                else:
                    tokens.append(token)
            queue.finished.clear()
        return tokens


def max_depth(config: Config, members: int) -> int:
    """How many messages a queue may hold in a cluster of this size (upstream `getQueueMax`)."""
    if config.min_queue_depth > 0:
        return max(2 * members, config.min_queue_depth)
    return config.max_queue_depth
