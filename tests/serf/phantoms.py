"""A network that exists as a matrix of round trips only, and clients that measure it (spec serf §10.10).

Each `truth` maps a pair of nodes to nanoseconds; nodes are numbered from 0.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from typing import NamedTuple

from serfcompat.serf.vivaldi import VivaldiClient, VivaldiConfig

Truth = Callable[[int, int], int]


def line(spacing_ns: int) -> Truth:
    """Nodes in a row."""
    return lambda i, j: abs(i - j) * spacing_ns


def grid(nodes: int, spacing_ns: int) -> Truth:
    """Nodes in a square, row by row."""
    side = int(math.sqrt(nodes))

    def rtt(i: int, j: int) -> int:
        return int(math.dist(divmod(i, side), divmod(j, side)) * spacing_ns)

    return rtt


def split(nodes: int, lan_ns: int, wan_ns: int) -> Truth:
    """Two halves, each near itself and far from the other."""
    return lambda i, j: lan_ns + (wan_ns if (i <= nodes // 2) != (j <= nodes // 2) else 0)


def circle(nodes: int, radius_ns: int) -> Truth:
    """Node 0 in the middle and far above, all others around it."""

    def rtt(i: int, j: int) -> int:
        if 0 in (i, j):
            return 2 * radius_ns
        x, y = (2 * math.pi * node / nodes for node in (i, j))
        return int(radius_ns * math.dist((math.cos(x), math.sin(x)), (math.cos(y), math.sin(y))))

    return rtt


def scattered(nodes: int, mean_ns: int, deviation_ns: int, dice: random.Random) -> Truth:
    """No geometry at all: each pair has a round trip of its own."""
    pairs = {(i, j): int(max(dice.gauss(mean_ns, deviation_ns), 0)) for j in range(nodes) for i in range(j)}
    return lambda i, j: pairs[min(i, j), max(i, j)]


def simulate(config: VivaldiConfig, nodes: int, truth: Truth, *, cycles: int, seed: int) -> list[VivaldiClient]:
    """Clients after `cycles` in each of which every one measured one other, chosen at random."""
    dice = random.Random(seed)
    clients = [VivaldiClient(dice=dice, config=config) for _ in range(nodes)]
    names = [b"node-%d" % node for node in range(nodes)]
    for _ in range(cycles):
        for me, client in enumerate(clients):
            other = (me + 1 + dice.randrange(nodes - 1)) % nodes
            client.update(names[other], clients[other].get(), truth(me, other))
    return clients


class Errors(NamedTuple):
    """How far the estimates are from the truth, as fractions of it."""

    mean: float
    largest: float


def evaluate(clients: Sequence[VivaldiClient], truth: Truth) -> Errors:
    """Over all pairs. With fewer than two clients there is none, and no error."""
    errors = [
        abs(clients[i].distance_to(clients[j].get()) - truth(i, j)) / truth(i, j)
        for j in range(len(clients))
        for i in range(j)
    ]
    return Errors(sum(errors) / len(errors), max(errors)) if errors else Errors(0.0, 0.0)
