"""What a node sends in a calm cluster: SWIM promises a load that does not depend on the cluster's size (§3).

Datagrams keep that promise. Push/pull, memberlist's full state exchange over TCP, does
not: it grows with the table, though each node does it less often the larger the cluster is.
"""

from __future__ import annotations

import random

from serfcompat.sim.cluster import Cluster

SIZES = (10, 30, 100, 300, 1000)


def load(nodes: int, seconds: float, seed: str = "7") -> tuple[float, float, float]:
    """Datagrams, their bytes, and bytes on streams, each per node and second, of quiet Serf nodes."""
    cluster = Cluster(nodes, seed=seed, dice=random.Random)
    cluster.run(5)
    before = _sums(cluster)
    cluster.run(seconds)
    after = _sums(cluster)
    packets, packet_bytes, stream_bytes = (
        (now - then) / nodes / seconds for now, then in zip(after, before, strict=True)
    )
    return packets, packet_bytes, stream_bytes


def _sums(cluster: Cluster) -> tuple[int, int, int]:
    traffic = [host.traffic for host in cluster.hosts]
    return (
        sum(t.packets for t in traffic),
        sum(t.packet_bytes for t in traffic),
        sum(t.stream_bytes for t in traffic),
    )


def report(seconds: int) -> list[tuple[str, str, str]]:
    """(what, published, measured) rows."""
    found = {nodes: load(nodes, max(seconds, 6)) for nodes in SIZES}
    base = found[SIZES[0]]
    return [
        (
            f"sent per node and second, n = {nodes}",
            "constant (SWIM §3)",
            f"{packets:.2f} datagrams ({packets / base[0]:.0%}), {size:.0f} bytes ({size / base[1]:.0%}); "
            f"on streams {streams:.0f} bytes",
        )
        for nodes, (packets, size, streams) in found.items()
    ]
