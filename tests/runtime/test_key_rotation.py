"""A rotation goes on only when every expected member is ready for the next step."""

import logging

import pytest

from serfcompat.errors import UsageError
from serfcompat.runtime.key_rotation import RotationError, Step, rotate
from serfcompat.serf.key_responses import KeyResult
from serfcompat.wire.serf_messages import KeyResponse

OLD, OLDER, NEW = "b2xkIGtleSBvZiAxNiBieQ==", "b2xkZXIga2V5IDE2IGJ5dA==", "bmV3IGtleSBvZiAxNiBieQ=="


class Cluster:
    """Key rings of nodes, and nodes that misbehave."""

    def __init__(self, **rings):
        self.rings = {name: list(ring) for name, ring in rings.items()}
        self.silent = set()
        self.refusing = set()
        self.log = []

    def _apply(self, operation, change):
        self.log.append(operation)
        for name, ring in self.rings.items():
            if name not in self.silent | self.refusing:
                change(ring)

    def install(self, key, *, relay_factor=0):
        self._apply("install", lambda ring: ring.append(key) if key not in ring else None)

    def use(self, key, *, relay_factor=0):
        self._apply("use", lambda ring: (ring.remove(key), ring.insert(0, key)))

    def remove(self, key, *, relay_factor=0):
        self._apply("remove", lambda ring: ring.remove(key) if key in ring else None)

    def list(self, *, relay_factor=0):
        result = KeyResult(num_nodes=len(self.rings))
        for name, ring in self.rings.items():
            if name not in self.silent:
                answer = KeyResponse(True, b"", [key.encode() for key in ring], ring[0].encode())
                result.add(name, answer.encode(), logging.getLogger("t"))
        return result

    def names(self):
        return frozenset(self.rings)


def test_all_nodes_end_with_the_new_key_alone():
    cluster = Cluster(a=[OLD], b=[OLD, OLDER])
    assert rotate(cluster, NEW, cluster.names, 0).done
    assert cluster.rings == {"a": [NEW], "b": [NEW]}


def test_a_silent_member_stops_it_before_anything_is_changed():
    cluster = Cluster(a=[OLD], b=[OLD])
    cluster.silent.add("b")
    with pytest.raises(RotationError, match="b: it did not answer") as caught:
        rotate(cluster, NEW, cluster.names, 0)
    assert caught.value.rotation.step is Step.NOTHING
    assert cluster.log == []


def test_a_member_that_cannot_install_keeps_the_new_key_from_being_used():
    cluster = Cluster(a=[OLD], b=[OLD])
    cluster.refusing.add("b")
    with pytest.raises(RotationError, match="b: it does not have the new key"):
        rotate(cluster, NEW, cluster.names, 0)
    assert cluster.rings["a"] == [OLD, NEW]
    cluster.refusing.clear()
    assert rotate(cluster, NEW, cluster.names, 0).done
    assert cluster.rings == {"a": [NEW], "b": [NEW]}


def test_a_member_that_does_not_switch_keeps_the_old_key_from_being_removed():
    cluster = Cluster(a=[OLD, NEW], b=[OLD, NEW])
    cluster.refusing.add("b")
    with pytest.raises(RotationError, match="b: it uses another key") as caught:
        rotate(cluster, NEW, cluster.names, 0)
    assert caught.value.rotation.step is Step.INSTALLED
    assert OLD in cluster.rings["a"]
    assert OLD in cluster.rings["b"]


def test_an_expected_member_that_is_down_counts():
    cluster = Cluster(a=[OLD])
    with pytest.raises(RotationError, match="c: it did not answer"):
        rotate(cluster, NEW, lambda: frozenset(("a", "c")), 0)


def test_a_rotation_that_ended_half_way_is_resumed():
    cluster = Cluster(a=[NEW, OLD], b=[OLD, NEW])
    assert rotate(cluster, NEW, cluster.names, 0).done
    assert "install" not in cluster.log


@pytest.mark.socket
def test_on_a_real_cluster(tmp_path):
    import base64
    import os

    from serfcompat import Config, Serf

    hosts = [f"127.32.{os.getpid() % 250}.{n}" for n in (1, 2)]
    old, new = os.urandom(16), base64.b64encode(os.urandom(32)).decode()
    a, b = (Serf(Config.local(node_name=h, bind_addr=h, secret_key=old)) for h in hosts)
    with a, b:
        b.join([hosts[0]])
        a.wait_for(2, timeout=10)
        with pytest.raises(UsageError, match="illegal base64"):
            a.keys.rotate("not base64!")
        assert a.keys.rotate(new).done
        assert b.keys.list().keys == {new: 2}
