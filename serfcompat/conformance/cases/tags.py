"""Tags."""

from __future__ import annotations

from serfcompat.conformance.case import Area, Level, case, expect
from serfcompat.conformance.lab import Lab, refusal
from serfcompat.wire.serf_messages import decode_tags, encode_tags

AGENT = Level.AGENT


@case("tags-bytes", Area.TAGS, "S-006", "S-022", level=AGENT)
def tags_are_metadata(lab: Lab) -> None:
    """Tags are metadata that begin with byte 255, then a map in Go's bytes; no tags are ff80."""
    long = "x" * 40
    for flags, tags in (([], {}), (["-tag=role=web", f"-tag=long={long}"], {b"role": b"web", b"long": long.encode()})):
        meta = lab.bench(lab.agent(f"a{len(flags)}", *flags)).me.meta or b""
        expect(meta[:1] == b"\xff", "metadata that begin with ff", meta.hex())
        read = decode_tags(meta)
        expect(read.error is None and read.tags == tags, repr(tags), read)
        # The order of a map is open in Go.
        expect(encode_tags(read.tags) == meta, encode_tags(read.tags).hex(), meta.hex())


@case("tags-changed", Area.TAGS, "S-202", "A-220", level=AGENT)
def new_tags_are_seen_by_all(lab: Lab) -> None:
    """Tags that are set or deleted are soon seen by everybody, by an event member-update; a tag in both is set."""
    a, b = lab.agents("a", "b", tags={"a": {"role": "web", "old": "1", "both": "1"}})
    listener = lab.listen(b)
    a.client.update_tags({"role": "db", "new": "2", "both": "2"}, delete=["old", "both", "absent"])
    wanted = {"role": "db", "new": "2", "both": "2"}
    for agent in (a, b):
        agent.wait_until(agent.members, lambda members: dict(members["a"].tags) == wanted)
    listener.wait_for_member_event("member-update", "a")


@case("tags-limit", Area.TAGS, "S-012", level=AGENT)
def tags_have_a_size(lab: Lab) -> None:
    """Tags whose encoding has more than 512 bytes are refused; those of 512 are taken."""
    agent = lab.agent("a")
    size = 512 - len(encode_tags({b"t": b"x" * 300})) + 300
    refusal(agent.client.update_tags, {"t": "x" * (size + 1)})
    agent.client.update_tags({"t": "x" * size})
    agent.wait_until(lambda: dict(agent.members()["a"].tags), lambda tags: len(tags.get("t", "")) == size)


@case("tags-of-old-nodes", Area.TAGS, "S-008", "S-010", "S-011", level=AGENT)
def old_metadata_are_a_role(lab: Lab) -> None:
    """Metadata without byte 255 are a role, as of very old agents; those that can't be read keep what can."""
    agent = lab.agent("a")
    bench = lab.bench(agent)
    cut = encode_tags({b"one": b"1", b"two": b"2"})[:-1]
    for meta, wanted in (
        (b"web", {"role": "web"}),
        (b"\xff\xc0", {}),
        (cut, {"one": "1"}),
    ):
        peer = bench.member("peer", meta=meta)
        name = peer.name.decode()
        agent.wait_for_members({name: "alive"})
        tags = dict(agent.members()[name].tags)
        read = {key: value for key, value in tags.items() if value}
        expect(read == wanted, f"{wanted} of the metadata {meta.hex()}", tags)
