"""The pytest plugin: simulated clusters, virtual time, a fake node and clusters of real agents as fixtures.

It is there as soon as serfcompat is installed; `pytest -p no:serfcompat` leaves it out.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from serfcompat.sim.cluster import Cluster
    from serfcompat.sim.transcript import Recent
    from serfcompat.testing.fake import FakeSerf
    from serfcompat.testing.mixed import MixedCluster
    from serfcompat.testing.virtual_time import VirtualTime

_mixed: pytest.StashKey[list[MixedCluster]] = pytest.StashKey()
_clusters: pytest.StashKey[list[tuple[Cluster, Recent]]] = pytest.StashKey()


@pytest.fixture
def sim_cluster(request: pytest.FixtureRequest) -> Callable[..., Cluster]:
    """Makes simulated clusters of any size: `sim_cluster(200, seed=7)`; see `serfcompat.sim.cluster.Cluster`.

    If the test fails, its report names each cluster's seed and shows its last steps.
    """
    from serfcompat.sim.cluster import Cluster
    from serfcompat.sim.transcript import Recent

    made: list[tuple[Cluster, Recent]] = request.node.stash.setdefault(_clusters, [])

    def make(nodes: Any = 5, *, seed: int | str = 0, observers: Any = (), **options: Any) -> Cluster:
        recent = Recent()
        cluster = Cluster(nodes, seed=seed, dice=random.Random, observers=[*observers, recent], **options)
        made.append((cluster, recent))
        return cluster

    return make


@pytest.fixture
def virtual_time() -> Iterator[VirtualTime]:
    """Runs the test on virtual time: `Serf`, `gevent.sleep` and your own blocking code take no real time."""
    from serfcompat.testing import virtual_time as module

    with module.virtual_time() as world:
        yield world


@pytest.fixture
def fake_cluster() -> FakeSerf:
    """A `FakeSerf` that knows nobody yet: `set_members`, `happen` and `answers` script it."""
    from serfcompat.testing.fake import FakeSerf

    return FakeSerf()


@pytest.fixture
def mixed_cluster(request: pytest.FixtureRequest) -> Iterator[Callable[..., MixedCluster]]:
    """Starts clusters of real Go agents and ours: `mixed_cluster(go="0.10.1:3", py=2)`; all are removed at the end.

    Arguments are those of `serfcompat.testing.mixed.MixedCluster`; needs the extra `interop`. If the test fails, its
    report says where each node's log and the last packets are. Where this machine can't run such a cluster the
    test is skipped with the reason, or fails if SERFCOMPAT_REQUIRE_PEERS is set.
    """
    from serfcompat.testing import mixed
    from serfcompat.testing.debian import DebianError
    from serfcompat.testing.programs import NotHere
    from serfcompat.testing.rootfs import ImageError

    made: list[mixed.MixedCluster] = request.node.stash.setdefault(_mixed, [])

    def start(**options: Any) -> mixed.MixedCluster:
        try:
            cluster = mixed.MixedCluster(**options).start()
        except (NotHere, ImageError, DebianError) as error:
            if os.environ.get("SERFCOMPAT_REQUIRE_PEERS"):
                raise
            pytest.skip(str(error))
        made.append(cluster)
        return cluster

    yield start
    for cluster in made:
        cluster.stop()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """Add to a failure what is needed to understand and repeat it."""
    report = yield
    if call.when == "call" and report.failed:
        for cluster, recent in item.stash.get(_clusters, []):
            text = f"seed {cluster.seed}, {len(cluster.hosts)} nodes, {cluster.now:g} virtual seconds\n{recent}"
            report.sections.append(("simulated cluster", text))
        made: list[MixedCluster] = item.stash.get(_mixed, [])
        for number, mixed in enumerate(made, 1):
            folder = mixed.keep_folder / f"{item.name.replace('/', '_')}-{number}"
            mixed.keep(folder)
            report.sections.append(
                ("mixed cluster", f"in {mixed.on}; logs and packets are in {folder}\n{mixed.tails()}")
            )
    return report
