"""Watching real Consul pools, plain and encrypted: what we see is what Consul says, and Consul doesn't mind."""

from __future__ import annotations

import base64
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from serfcompat import Config, ConsulRefused, EventType, Serf, UsageError, VisitError
from serfcompat.contrib.consul import ConsulEvent, ConsulMemberEvent, Kind, NewLeader, Observer, Watch, look
from serfcompat.contrib.consul import observer as observer_file
from serfcompat.contrib.consul.observer import is_taken
from tests.agents import free_host
from tests.foreign.consul import Datacenters, complaints, gossip

pytestmark = [pytest.mark.interop, pytest.mark.socket, pytest.mark.timeout(240)]

PATIENCE = 40.0
"Seconds after which something that was waited for will not happen any more."
KEY = b"0123456789abcdef"
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


PLAIN_IS_SLOW = pytest.mark.parametrize(
    "consul", [pytest.param("plain", marks=pytest.mark.slow), "encrypted"], indirect=True, scope="module"
)


@pytest.fixture(scope="module", params=["plain", "encrypted"])
def consul(request, tmp_path_factory) -> Iterator[Datacenters]:
    key = KEY if request.param == "encrypted" else None
    found = Datacenters(tmp_path_factory.mktemp("consul"), key)
    try:
        found.settle()
        yield found
    finally:
        found.stop()


def keys(consul: Datacenters) -> tuple[bytes, ...]:
    return () if consul.key is None else (consul.key,)


def observer(consul: Datacenters, name: str, **more: object) -> Observer:
    return Observer([consul.server.host], name=name, bind_addr=free_host(8301), keys=keys(consul), **more)


def until(events, wanted):
    """Take events up to the first that is wanted, and give that."""
    while True:
        event = events.get(PATIENCE)
        if wanted(event):
            return event


def happened(type: EventType, name: str):
    return lambda event: isinstance(event, ConsulMemberEvent) and (event.type, event.members[0].name) == (type, name)


def consul_members(*arguments: str, env: dict[str, str] | None = None) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "serfcompat", "consul-members", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | (env or {}),
        check=False,
    )
    assert done.stderr == ""
    return done.returncode, done.stdout


def rows(text: str) -> list[str]:
    return [line.rstrip() for line in text.splitlines()]


def test_the_command_prints_what_consul_prints_and_nobody_notices(consul):
    before = [len(gossip(agent.log)) for agent in (consul.server, consul.client)]
    for pool, port in (([], 8301), (["-wan"], 8302)):
        wanted = rows(consul.server.cli("members", *pool))
        assert len(wanted) == 3
        where = consul.server.host
        if consul.key is None:
            assert consul_members(*pool, where) == (0, "\n".join(wanted) + "\n")
            continue
        env = {"CONSUL_ENCRYPT": base64.b64encode(consul.key).decode()}
        assert rows(consul_members(*pool, f"{where}:{port}", env=env)[1]) == wanted
        ring = consul.server.folder / "serf" / ("remote.keyring" if pool else "local.keyring")
        assert rows(consul_members(*pool, f"-keyring-file={ring}", where)[1]) == wanted
    assert before == [len(gossip(agent.log)) for agent in (consul.server, consul.client)]


def test_tags_are_decoded(consul):
    pool = look([consul.client.host], keys=keys(consul))
    assert (pool.datacenter, pool.segment, pool.is_wan) == ("dc1", "", False)
    server, client = sorted(pool.members, key=lambda member: member.kind, reverse=True)
    assert (server.name, server.kind, server.build, server.datacenter) == ("s1", Kind.SERVER, "1.8.7", "dc1")
    assert (server.vsn, server.vsn_min, server.vsn_max) == (2, 2, 3)
    assert (server.server.port, server.server.bootstrap, server.server.wan_join_port) == (8300, True, 8302)
    assert (client.name, client.kind, client.server) == ("c1", Kind.CLIENT, None)
    ids = {row["Node"]: row["ID"] for row in _table(consul.server.cli("catalog nodes", "-detailed"))}
    assert ids == {"s1": server.id, "c1": client.id}


def _table(text: str) -> Iterator[dict[str, str]]:
    head, *lines = text.splitlines()
    for line in lines:
        yield dict(zip(head.split(), line.split(), strict=False))


def test_an_observer_lives_among_them_and_leaves_no_trace(consul, tmp_path):
    """Beside it, as control: a Consul client comes, stays and goes the same way, at another time."""
    server, agents = consul.server, (consul.server, consul.client)

    def complaints_during(visit) -> set[str]:
        since = [len(agent.log) for agent in agents]
        visit()
        found = [
            complaints(agent.log[start:], "x1", "x2", "s1", "c1") for agent, start in zip(agents, since, strict=True)
        ]
        return {text for counted in found for text in counted}

    def consul_client() -> None:
        client = consul.start("x1", f"-retry-join={server.host}")
        server.wait_for("member joined, marking health alive: member=x1")
        consul.client.wait_for_status("x1", "alive")
        consul.client.cli("event", "-name=deploy", "v1")
        client.wait_for("new event: event_name=deploy")
        client.leave()
        server.wait_for("deregistering member: member=x1")
        consul.client.wait_for_status("x1", "left")

    def ours() -> None:
        with observer(consul, "x2") as watching, watching.events() as events:
            assert server.wait_for("member joined, marking health alive: member=x2")
            for agent in agents:
                agent.wait_for_status("x2", "alive")
                assert [row[3:] for row in agent.members() if row[0] == "x2"] == [
                    ["client", "0.1.0", "dc1", "<default>"]
                ]
            assert {(m.name, m.kind, str(m.status)) for m in watching.members(status="alive")} == {
                ("s1", Kind.SERVER, "alive"),
                ("c1", Kind.CLIENT, "alive"),
                ("x2", Kind.CLIENT, "alive"),
            }
            consul.client.cli("event", "-name=deploy", "-service=web", "v2")
            deploy = until(events, lambda event: isinstance(event, ConsulEvent) and event.payload == b"v2")
            assert (deploy.name, deploy.service_filter, deploy.node_filter) == ("deploy", "web", "")
            if consul.key is not None:
                assert "[3/3]" in server.cli("keyring", "-list")

            newcomer = consul.start("x3", f"-retry-join={server.host}")
            until(events, happened(EventType.MEMBER_JOIN, "x3"))
            newcomer.leave()
            until(events, happened(EventType.MEMBER_LEAVE, "x3"))
        server.wait_for("deregistering member: member=x2 reason=left")
        for agent in agents:
            agent.wait_for_status("x2", None)
        # ⚠ Consul's own clients may register themselves again while they go; we don't.
        assert "x2" not in {row["Node"] for row in _table(server.cli("catalog nodes"))}

    control = complaints_during(consul_client)
    assert complaints_during(ours) <= control
    assert "x2" not in {member.name for member in look([server.host], keys=keys(consul)).members}


@PLAIN_IS_SLOW
def test_a_dead_client_is_seen_to_fail(consul):
    with observer(consul, "x5") as watching, watching.events() as events:
        dying = consul.start("x4", f"-retry-join={consul.server.host}")
        until(events, happened(EventType.MEMBER_JOIN, "x4"))
        dying.kill()
        event = until(events, happened(EventType.MEMBER_FAILED, "x4"))
        assert (event.members[0].kind, event.members[0].datacenter) == (Kind.CLIENT, "dc1")
        (there,) = (member for member in watching.members() if member.name == "x4")
        assert str(there.status) == "failed"


@pytest.mark.slow
def test_an_observer_that_stays_disturbs_nobody(consul):
    """For 75 seconds: the leader looks over all members once a minute, and warns of those it can't place."""
    since = [len(agent.log) for agent in (consul.server, consul.client)]
    with observer(consul, "x6") as watching:
        names = {member.name for member in watching.members()}
        threading.Event().wait(75)
        assert {member.name for member in watching.members(status="alive")} == names & {"s1", "c1", "x6"}
        assert consul.server.status_of("x6") == "alive"
    for agent, start in zip((consul.server, consul.client), since, strict=True):
        assert not complaints(agent.log[start:])


# -- refusals --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tags", "why"),
    [
        ({"role": "node", "dc": "dc9"}, "is in datacenter 'dc1', not in 'dc9'"),
        ({"role": "node", "dc": "dc1", "segment": "edge"}, "is in segment '', not in 'edge'"),
    ],
)
def test_what_consul_would_refuse_is_said_before_it_hears_of_it(consul, tags, why):
    before = len(gossip(consul.server.log))
    with pytest.raises(ConsulRefused, match=why):
        observer(consul, "x7", tags=tags).start()
    assert len(gossip(consul.server.log)) == before


def test_a_taken_id_or_name_is_refused(consul):
    pool = look([consul.server.host], keys=keys(consul))
    (server,) = (member for member in pool.members if member.kind is Kind.SERVER)
    with pytest.raises(ConsulRefused, match=f"node ID {server.id} is that of s1"):
        observer(consul, "x7", tags={"role": "node", "dc": "dc1", "id": server.id}).start()
    with pytest.raises(ConsulRefused, match="there is a member c1 already"):
        observer(consul, "c1").start()


@PLAIN_IS_SLOW
def test_a_refusal_that_is_only_in_consuls_log_is_noticed(consul, monkeypatch):
    """As it comes when Consul demands what we don't know of. Go's joiner reports success here, and so does ours."""
    host = free_host(8301)
    wrong = {"role": "node", "dc": "dc9"}
    with Serf(Config.lan(node_name="x8", bind_addr=host, bind_port=8301, tags=wrong, keyring=keys(consul))) as serf:
        assert serf.join([f"{consul.server.host}:8301"]) == 1
        assert not is_taken(f"{consul.server.host}:8301", f"{host}:8301", "x8", keys=keys(consul), limit=1)
    consul.server.wait_for("Member 'x8' part of wrong datacenter 'dc9'")
    assert consul.server.status_of("x8") is None

    monkeypatch.setattr(observer_file, "refusal", lambda name, tags, pool: None)
    monkeypatch.setattr(observer_file, "TAKEN_LIMIT", 1.0)
    refused = observer(consul, "x9", tags=wrong)
    with pytest.raises(ConsulRefused, match="answered the join and did not take us"):
        refused.start()
    consul.server.wait_for("Member 'x9' part of wrong datacenter 'dc9'")
    assert consul.server.status_of("x9") is None


def test_nobody_is_taken_for_a_server(consul):
    with pytest.raises(UsageError, match="role=consul"):
        observer(consul, "x7", tags={"role": "consul", "dc": "dc1"})


def test_a_wrong_key_is_told_as_what_it_is(consul):
    if consul.key is None:
        with pytest.raises(
            VisitError, match=r"encryption is configured but remote state is not encrypted|remote error"
        ):
            look([consul.server.host], keys=[KEY])
        return
    with pytest.raises(VisitError, match=r"encryption is not configured|remote error|without an answer"):
        look([consul.server.host])
    with pytest.raises(VisitError, match=r"another key|remote error|without an answer"):
        look([consul.server.host], keys=[KEY[::-1]])


# -- the pool between datacenters ------------------------------------------------------------------


def test_a_wan_pool_takes_servers_only_and_is_seen_from_outside(consul):
    where = f"{consul.server.host}:8302"
    with pytest.raises(ConsulRefused, match=r"which takes servers only: follow it with Watch\(…, wan=True\)"):
        Observer([where], name="x7", bind_addr=free_host(8301), keys=keys(consul)).start()
    before = len(gossip(consul.server.log))
    pool = look([consul.server.host], wan=True, keys=keys(consul))
    assert pool.is_wan
    assert [(m.name, m.kind, m.datacenter) for m in pool.members if not m.name.startswith("s3")] == [
        ("s1.dc1", Kind.SERVER, "dc1"),
        ("s2.dc2", Kind.SERVER, "dc2"),
    ]
    assert len(gossip(consul.server.log)) == before


@pytest.mark.slow
def test_a_wan_pool_is_watched_from_outside(consul):
    heard: queue.SimpleQueue[object] = queue.SimpleQueue()
    with Watch([consul.server.host], wan=True, keys=keys(consul), every=0.5) as watch:
        reader = threading.Thread(target=lambda: [heard.put(event) for event in watch])
        reader.start()
        third = consul.start("s3", "-server", "-bootstrap", "-datacenter=dc3", f"-retry-join-wan={consul.server.host}")
        event = heard.get(timeout=PATIENCE)
        assert happened(EventType.MEMBER_JOIN, "s3.dc3")(event), event
        consul.server.wait_for_status("s3.dc3", "alive", "-wan")
        third.cli("leave")
        third.wait_exit()
        event = heard.get(timeout=PATIENCE)
        assert happened(EventType.MEMBER_LEAVE, "s3.dc3")(event), event
    reader.join(PATIENCE)
    assert not reader.is_alive()


def test_a_watch_hears_events_and_elections_of_a_lan_pool(consul):
    assert [
        event.server for event in look([consul.server.host], keys=keys(consul)).events if isinstance(event, NewLeader)
    ]
    with Watch([consul.client.host], keys=keys(consul), every=0.3) as watch:
        consul.server.cli("event", "-name=restart", "now")
        event = next(event for event in watch if isinstance(event, ConsulEvent))
        assert (event.name, event.payload) == ("restart", b"now")


@PLAIN_IS_SLOW
def test_following_by_command(consul):
    env = {"CONSUL_ENCRYPT": "" if consul.key is None else base64.b64encode(consul.key).decode()}
    process = subprocess.Popen(
        [sys.executable, "-m", "serfcompat", "consul-members", "-follow", "-interval=300ms", consul.server.host],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | env,
    )
    try:
        assert process.stdout.readline().startswith("Node ")
        consul.server.cli("event", "-name=restart", "later")
        assert any(line == "event restart: b'later'\n" for line in process.stdout)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@PLAIN_IS_SLOW
def test_the_example(consul):
    env = {"CONSUL_ENCRYPT": "" if consul.key is None else base64.b64encode(consul.key).decode()}
    process = subprocess.Popen(
        [sys.executable, EXAMPLES / "consul_observer.py", "watcher", free_host(8301), consul.server.host],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | env,
    )
    try:
        first = {process.stdout.readline() for _ in range(3)}
        assert first == {"server s1 1.8.7\n", "client c1 1.8.7\n", "client watcher 0.1.0\n"}
        consul.server.cli("event", "-name=stop", "now")
        assert any(line == "event stop now\n" for line in process.stdout)
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    consul.server.wait_for_status("watcher", None)


@pytest.mark.parametrize("consul", ["plain"], indirect=True, scope="module")
def test_a_program_in_both_worlds(consul):
    seed = Serf(Config.local(node_name="seed", bind_addr=free_host(7946), leave_propagate_delay=0.1))
    with seed, seed.events() as events:
        host, join = free_host(8301), seed.local_member().address
        command = [sys.executable, EXAMPLES / "side_by_side.py", "x9", host, consul.server.host, join]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout.readline() == "bridge in dc1\n"
            alive = len([row for row in consul.server.members() if row[2] == "alive"])
            (bridge,) = seed.wait_for(1, tags={"role": "consul-bridge"}, timeout=PATIENCE)
            assert bridge.tags["agents"] == str(alive - 1)
            consul.client.cli("event", "-name=stop", "for today")
            while getattr(event := events.get(PATIENCE), "name", "") != "consul:stop":
                pass
            assert event.payload == b"for today"
            assert process.wait(PATIENCE) == 0
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
    consul.server.wait_for_status("x9", None)
