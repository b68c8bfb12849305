"""Clusters for the science benchmarks: nodes that do one thing at a time, in step or not."""

from __future__ import annotations

import random

from serfcompat.sim.cluster import Cluster
from serfcompat.sim.latency import Fixed
from serfcompat.sim.network import Conditions
from serfcompat.swim.config import MemberlistConfig

LATENCY_NS = 1_000_000


class InStep(random.Random):
    """Dice whose shares are all 0: ticks then begin at once, and so at the same time on all nodes.

    Choices, which the engines make with `randrange` and `shuffle`, stay random.
    """

    getrandbits = random.Random.getrandbits  # else `randrange` would be made from `random`

    def random(self) -> float:
        return 0.0


def in_step(purpose: str) -> random.Random:
    """Dice for a cluster whose nodes act in step; what befalls datagrams stays random."""
    return random.Random(purpose) if purpose.endswith("/wire") else InStep(purpose)


def probing_only(nodes: int, seed: str, *, synchronised: bool) -> Cluster:
    """Nodes that probe once a second and say nothing else."""
    config = MemberlistConfig.lan(
        gossip_interval=0.0,
        push_pull_interval=0.0,
        queue_check_interval=0.0,
        disable_tcp_pings=True,
        enable_compression=False,
        lost_node_retry_time=0.0,
    )
    dice = in_step if synchronised else random.Random
    return Cluster(nodes, seed=seed, dice=dice, config=config, conditions=Conditions(latency=Fixed(LATENCY_NS)))


def gossiping_only(nodes: int, seed: str, *, loss: float) -> Cluster:
    """Nodes that gossip five times a second, not in step, and do nothing else."""
    config = MemberlistConfig.lan(
        probe_interval=0.0,
        push_pull_interval=0.0,
        queue_check_interval=0.0,
        enable_compression=False,
        lost_node_retry_time=0.0,
    )
    conditions = Conditions(latency=Fixed(LATENCY_NS), loss=loss)
    return Cluster(nodes, seed=seed, dice=random.Random, config=config, conditions=conditions)
