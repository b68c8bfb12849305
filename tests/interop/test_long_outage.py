"""A mixed cluster that was torn apart for longer than anybody remembers a failed member."""

from __future__ import annotations

import json
import time

import pytest

from serfcompat.testing.mixed import MixedCluster
from serfcompat.testing.namespaces import why_not
from tests.peers import GO_VERSIONS

pytestmark = [pytest.mark.interop, pytest.mark.socket, pytest.mark.slow]

FORGOTTEN = 90.0
"Seconds in which all have been reaped: detection, the window of 2 s, and Go's look around every 15 s."
BOUND = 30.0 + 10.0 + 10.0
"""As many are lost as alive, so each of ours asks one of the lost in every interval of 30 s. With that come a
time-out, and gossip until all have heard."""


def names(node) -> set[str]:
    return {member.name for member in node.client.members()}


@pytest.mark.parametrize("version", GO_VERSIONS)
@pytest.mark.parametrize("sides", [(["go1", "py1"], ["go2", "py2"]), (["go1", "go2"], ["py1", "py2"])])
def test_it_is_one_cluster_again_within_the_bound(version, sides, tmp_path):
    config = tmp_path / "window.json"
    config.write_text(json.dumps({"reconnect_timeout": "2s"}))
    if why := why_not():
        pytest.skip(why)
    with MixedCluster(
        go=f"{version}:2", py=2, profile="local", on="namespaces", capture=False, flags=[f"-config-file={config}"]
    ) as cluster:
        cluster.partition(*sides)
        until = time.monotonic() + FORGOTTEN
        for side in sides:
            for name in side:
                while names(cluster[name]) != set(side):
                    assert time.monotonic() < until, (name, names(cluster[name]))
                    time.sleep(0.5)
        cluster.heal()
        healed = time.monotonic()
        cluster.wait_until_whole(limit=BOUND)
        assert time.monotonic() - healed < BOUND
