"""Changing the keys of a running cluster."""

from __future__ import annotations

import base64

from serfcompat.conformance.agents import KEY
from serfcompat.conformance.case import Area, Level, Severity, case, expect
from serfcompat.conformance.lab import Lab, refusal

AGENT = Level.AGENT
OLD, NEW = base64.b64encode(KEY).decode(), base64.b64encode(bytes(range(100, 132))).decode()


@case("keys-list", Area.KEYS, "A-236", "S-150", level=AGENT)
def keys_are_listed(lab: Lab) -> None:
    """The keys of all members are listed, each with how many have it."""
    a, _ = lab.agents("a", "b", key=True)
    reply = a.client.list_keys()
    expect(dict(reply.keys or {}) == {OLD: 2}, f"one key of two members: {OLD}", dict(reply.keys or {}))
    counts = (reply.num_nodes, reply.num_resp, reply.num_err)
    expect(counts == (2, 2, 0), "2 nodes, 2 answers, no error", counts)


@case("keys-rotate", Area.KEYS, "S-153", "S-154", "A-236", level=AGENT)
def a_key_can_be_changed(lab: Lab) -> None:
    """A new key can be installed and used on all members, and the old one be removed; what is sent then has the
    new one.
    """
    a, b = lab.agents("a", "b", key=True)
    for step, reply in (
        ("install", a.client.install_key(NEW)),
        ("install again", b.client.install_key(NEW)),
        ("use", a.client.use_key(NEW)),
        ("remove", a.client.remove_key(OLD)),
        ("remove again", b.client.remove_key(OLD)),
    ):
        counts = (reply.num_nodes, reply.num_resp, reply.num_err)
        expect(counts == (2, 2, 0), f"{step}: 2 nodes, 2 answers, no error", counts)
    found = dict(b.client.list_keys().keys or {})
    expect(found == {NEW: 2}, f"only {NEW}", found)
    lab.await_members((a, b), {"a": "alive", "b": "alive"}, limit=1.0)
    bench = lab.bench(a, key=base64.b64decode(NEW))
    bench.ask(bench.stranger(), expected="an ack that the new key decrypts")


@case("keys-both-read", Area.KEYS, "M-106", "M-112", level=AGENT)
def all_installed_keys_decrypt(lab: Lab) -> None:
    """A key that is installed but not in use decrypts what comes, while the one in use encrypts what is sent."""
    agent = lab.agent("a", key=True)
    agent.client.install_key(NEW)
    bench = lab.bench(agent, key=base64.b64decode(NEW))
    end = bench.stranger(layers=type(bench.node.layers)(keys=(base64.b64decode(NEW), KEY)))
    bench.ask(end, bench.new_ping(b""))


@case("keys-refused", Area.KEYS, "S-149", "S-152", "S-153", "S-157", level=AGENT)
def wrong_keys_are_refused(lab: Lab) -> None:
    """Keys that aren't base64 or have a wrong size are refused; an absent key can't be used, and the one in use
    not be removed.
    """
    a, _ = lab.agents("a", "b", key=True)
    refusal(a.client.install_key, "not base64!")
    refusal(a.client.install_key, base64.b64encode(b"short").decode())
    refusal(a.client.use_key, NEW)
    refusal(a.client.remove_key, OLD)
    found = dict(a.client.list_keys().keys or {})
    expect(found == {OLD: 2}, f"still only {OLD}", found)


@case("keys-without-encryption", Area.KEYS, "S-151", "A-051", level=AGENT, severity=Severity.SHOULD)
def without_encryption_there_are_no_keys(lab: Lab) -> None:
    """Agents that don't encrypt refuse all changes of keys."""
    agent = lab.agent("a")
    for call in (lambda: agent.client.install_key(NEW), agent.client.list_keys):
        said = refusal(call)
        expect("1/1" in said, "a refusal that says 1/1 nodes reported failure", said)
