"""Tags as metadata."""

import pytest

from serfcompat.errors import PayloadTooLarge, UsageError
from serfcompat.serf.config import Config
from serfcompat.serf.effects import TimedOut
from serfcompat.serf.tags import decoded, encoded

from .nodes import Cluster, Node

TOO_LONG = "(?m)^Encoded length of tags exceeds limit of 512 bytes$"


@pytest.mark.statement("S-006")
def test_tags_are_a_marked_map():
    assert encoded({}, 5).hex() == "ff80"
    assert encoded({"role": "web"}, 3).hex() == "ff81a4726f6c65a3776562"


@pytest.mark.statement("S-007")
def test_protocol_two_carries_the_role_alone():
    assert encoded({"role": "web", "x": "y"}, 2) == b"web"
    assert encoded({"x": "y"}, 2) == b""
    node = Node(protocol_version=2, tags={"role": "web", "x": "y"}).start()
    assert node.core.swim.local_node().meta == b"web"


@pytest.mark.statement("S-008", "S-009", "S-010", "S-013")
@pytest.mark.parametrize(
    ("meta", "tags"),
    [
        (b"web", {"role": "web"}),
        (b"", {"role": ""}),
        (None, {"role": ""}),
        (b"\xff\xc0", {}),
        (b"\xff\x81\xa1k\xa1v", {"k": "v"}),
        (b"\xff\x81\xa1k\xa1\xff", {"k": "\udcff"}),
    ],
)
def test_any_metadata_has_some_meaning(meta, tags):
    node = Node(protocol_version=2)
    node.joins("b", meta=meta)
    assert dict(node.core.members.by_name[b"b"].tags) == tags


def test_decoded_tags_cannot_be_changed_by_who_reads_them():
    tags, _ = decoded(b"\xff\x81\xa1k\xa1v")
    with pytest.raises(TypeError):
        tags["k"] = "x"


@pytest.mark.statement("S-012")
def test_512_bytes_are_the_limit():
    fits = {"k": "v" * (512 - 2 - 2 - 3)}
    over = {"k": fits["k"] + "v"}
    assert len(encoded(fits, 5)) == 512
    Config(tags=fits).check()
    with pytest.raises(UsageError, match=TOO_LONG):
        Config(tags=over).check()
    node = Node().start()
    node.engine.set_tags(fits, "t", 0)
    with pytest.raises(PayloadTooLarge, match=TOO_LONG):
        node.engine.set_tags(over, "t", 0)
    assert node.core.tags == fits


@pytest.mark.statement("S-202")
def test_new_tags_reach_everybody():
    cluster = Cluster("a", "b")
    cluster.run(2)
    a, b = cluster["a"], cluster["b"]
    cluster.step("a", lambda: a.engine.set_tags({"role": "db"}, "t", cluster.now_ns))
    assert dict(a.engine.local_member().tags) == {"role": "db"}
    cluster.until(lambda: "member-update a" in b.told())
    assert dict(b.core.members.by_name[b"a"].tags) == {"role": "db"}
    cluster.until(lambda: cluster.finished("a", "t"))


def test_new_tags_that_are_not_gossiped_in_time_stay_in_force():
    cluster = Cluster("a", "b")
    cluster.run(2)
    a = cluster["a"]
    a.core.swim.table.broadcasts.get = lambda *args: []
    cluster.step("a", lambda: a.engine.set_tags({"role": "db"}, "t", cluster.now_ns))
    cluster.run(6)
    assert a.of(TimedOut) == [TimedOut("t", "timeout waiting for update broadcast")]
    assert dict(a.engine.local_member().tags) == {"role": "db"}
