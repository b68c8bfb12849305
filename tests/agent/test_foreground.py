"""Starting an agent: its transcript and what it refuses (spec agent §1.2, §2.4)."""

from __future__ import annotations

import datetime
import os
import re
import socket

import pytest

from serfcompat.rpc.client import Client
from tests.agents import OURS, free_host

KEY_16, KEY_24, KEY_32 = "AAAAAAAAAAAAAAAAAAAAAA==", "A" * 32, "HvY8ubRZMgafUOWvrOadwOckVa1wN3QWAo46FVKbVN8="
LOG_LINE = re.compile(r"    \d{4}/\d\d/\d\d \d\d:\d\d:\d\d \[[A-Z]+\] .+\n")


def transcript(agent, **values):
    """The output up to the first log line, once that is there."""
    agent.wait_for("agent: Serf agent starting")
    return agent.output.partition("as it occurs:\n\n")[0] + "as it occurs:\n\n"


@pytest.mark.statement("A-098", "A-102")
def test_the_banner(start):
    agent = start("n1")
    agent.wait_for("agent: Serf agent starting")
    assert transcript(agent) == (
        "==> Starting Serf agent...\n"
        "==> Starting Serf agent RPC...\n"
        "==> Serf agent running!\n"
        "                      Node name: 'n1'\n"
        f"                      Bind addr: '{agent.gossip}'\n"
        f"                       RPC addr: '{agent.rpc}'\n"
        "                      Encrypted: false\n"
        "                       Snapshot: false\n"
        "                        Profile: local\n"
        "    Message Compression Enabled: true\n"
        "\n"
        "==> Log data will now stream in as it occurs:\n\n"
    )
    agent.wait_for("agent: Received event: member-join")
    agent.kill()
    logged = agent.output.partition("as it occurs:\n\n")[2].splitlines(keepends=True)
    assert all(LOG_LINE.fullmatch(line) for line in logged), logged
    assert agent.stderr == b""


@pytest.mark.statement("A-099", "A-100", "A-101", "A-124")
def test_a_banner_with_everything(start, tmp_path):
    peer = start("peer", f"-encrypt={KEY_32}")
    agent = start(
        "n1",
        "-advertise=127.0.0.99:1234",
        f"-encrypt={KEY_32}",
        f"-snapshot={tmp_path}/snapshot",
        "-disable-compression",
        f"-join={peer.gossip}",
        "-replay",
    )
    assert transcript(agent) == (
        "==> Starting Serf agent...\n"
        "==> Starting Serf agent RPC...\n"
        "==> Serf agent running!\n"
        "                      Node name: 'n1'\n"
        f"                      Bind addr: '{agent.gossip}'\n"
        "    Advertise addr: '127.0.0.99:1234'\n"
        f"                       RPC addr: '{agent.rpc}'\n"
        "                      Encrypted: true\n"
        "                       Snapshot: true\n"
        "                        Profile: local\n"
        "    Message Compression Enabled: false\n"
        "==> Joining cluster...(replay: true)\n"
        "    Join completed. Synced with 1 initial agents\n"
        "\n"
        "==> Log data will now stream in as it occurs:\n\n"
    )


@pytest.mark.statement("A-103")
def test_the_log_of_the_start_comes_after_it_in_order(start):
    peer = start("peer")
    agent = start("n1", f"-join={peer.gossip}")
    agent.wait_for("agent: joined: 1 nodes")
    logged = agent.output.partition("as it occurs:\n\n")[2]
    wanted = [
        "agent: Serf agent starting",
        "serf: EventMemberJoin: n1 ",
        f"agent: joining: [{peer.gossip}] replay: false",
        "serf: EventMemberJoin: peer ",
        "agent: joined: 1 nodes",
    ]
    places = [logged.index(text) for text in wanted]
    assert places == sorted(places)


@pytest.mark.statement("A-104")
def test_rpc_answers_while_the_join_at_the_start_hangs(start):
    with socket.create_server((free_host(), 0)) as silent:
        host, port = silent.getsockname()
        agent = start("n1", f"-join={host}:{port}", profile="lan", wait=False)
        agent.wait_for("==> Joining cluster...(replay: false)")
        with Client(agent.rpc) as client:
            assert [member.name for member in client.members()] == ["n1"]
        assert "Log data" not in agent.output


@pytest.mark.statement("A-105")
def test_the_port_may_be_left_out(start):
    host = free_host()
    agent = start("n1", "-node=n1", f"-bind={host}", f"-rpc-addr={host}:27373", host=host, bare=True)
    assert f"Bind addr: '{host}:7946'" in agent.output
    out = start.refused("-bind=::1")
    assert out == "==> Invalid bind address: address ::1: too many colons in address\n"


@pytest.mark.statement("A-106")
def test_port_0_is_any_free_one(start):
    host = free_host()
    agent = start("n1", "-node=n1", f"-bind={host}:0", f"-rpc-addr={host}:27373", host=host, bare=True)
    assert f"Bind addr: '{host}:0'" in agent.output
    with Client(agent.rpc) as client:
        assert client.members()[0].port > 1024


@pytest.mark.statement("A-107", "A-108", "A-109")
def test_interfaces(start):
    host = free_host()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    flags = ["-node=n1", "-iface=lo", f"-bind=0.0.0.0:{port}", f"-rpc-addr={host}:27373"]
    agent = start("n1", *flags, host=host, bare=True)
    assert agent.output.startswith("==> Using interface 'lo' address '127.0.0.1'\n==> Starting Serf agent...\n")
    assert f"Bind addr: '127.0.0.1:{port}'" in agent.output
    assert start.refused("-iface=lo", "-bind=10.9.8.7:1") == "==> Interface 'lo' has no '10.9.8.7' address\n"
    assert start.refused("-iface=nope0").startswith("==> Invalid network interface: ")


@pytest.mark.statement("A-110", "A-112", "A-116")
@pytest.mark.parametrize(
    ("flag", "said"),
    [
        ("-profile=foo", "==> Unknown profile: foo\n"),
        ("-profile=LAN", "==> Unknown profile: LAN\n"),
        (
            "-log-level=foo",
            "==> Invalid log level: FOO. Valid log levels are: [TRACE DEBUG INFO WARN ERR]\n",
        ),
        ("-tag=foo", "==> Error: Invalid tag: 'foo'\n"),
        ("-tag==x", "==> Error: Invalid tag: '=x'\n"),
        ("-retry-interval=5", '==> Error: time: missing unit in duration "5"\n'),
        ("-broadcast-timeout=foo", '==> Error: time: invalid duration "foo"\n'),
        ("-event-handler=foo=bar", "==> Invalid event script: Event 'foo' invoking 'bar'\n"),
        ("-event-handler=x:y=z", "==> Invalid event script: Event 'x:y' invoking 'z'\n"),
        ("-advertise=::1", "==> Invalid advertise address: address ::1: too many colons in address\n"),
        ("-mdns-iface=lo", "==> mDNS interface specified without enabling mDNS discovery\n"),
    ],
)
def test_flags_that_are_refused_before_anything_starts(start, kind, flag, said):
    if flag == "-mdns-iface=lo" and kind != OURS:
        said = None  # newer than this Go agent
        agent = start("n1", flag, bare=True, wait=False)
        assert agent.wait_exit() == 1
        assert agent.stderr.startswith(b"flag provided but not defined: -mdns-iface")
        return
    assert start.refused(flag) == said


@pytest.mark.statement("A-111")
def test_protocol_versions(start):
    core = "==> Starting Serf agent...\n==> Failed to start the Serf agent: Error creating Serf: Protocol version"
    allowed = "Must be in range: [2, 5]\n"
    assert start.refused("-protocol=1") == f"{core} '1' too low. {allowed}"
    assert start.refused("-protocol=6") == f"{core} '6' too high. {allowed}"
    assert start.refused("-protocol=300") == f"{core} '44' too high. {allowed}"
    for given, used in (("0", 5), ("-1", 5), ("3", 3)):
        agent = start(f"p{given}", f"-protocol={given}")
        with Client(agent.rpc) as client:
            assert client.members()[0].delegate_cur == used


@pytest.mark.statement("A-113")
def test_levels_are_read_in_any_case(start):
    agent = start("n1", "-log-level=Warn")
    with Client(agent.rpc) as client:
        client.leave()
    assert agent.wait_exit() == 0
    assert "[INFO]" not in agent.output


@pytest.mark.statement("A-114", "A-115")
def test_keys(start):
    said = "==> Invalid encryption key: illegal base64 data at input byte "
    assert start.refused("-encrypt=foo") == f"{said}0\n"
    assert start.refused(f"-encrypt={KEY_32[:-1]}") == f"{said}40\n"
    out = start.refused("-encrypt=AAAA")
    assert out.startswith("==> Starting Serf agent...\n==> Failed to start the Serf agent: Error creating Serf: ")
    assert "key size must be 16, 24 or 32 bytes" in out
    for key in (KEY_16, KEY_24, KEY_32):
        assert "Encrypted: true" in start(f"n{len(key)}", f"-encrypt={key}").output


@pytest.mark.statement("A-117", "A-118", "A-119", "A-120")
def test_warnings_in_order(start):
    agent = start("n1", "-rejoin", "-broadcast-timeout=-5s", "-retry-interval=10ms", "-role=web")
    assert agent.output.startswith(
        "==> Deprecation warning: 'Role' has been replaced with 'Tags'\n"
        "==> Warning: 'RetryInterval' is too low. Setting to 1s\n"
        "==> Warning: 'BroadcastTimeout' is too low. Setting to 1s\n"
        "==> Warning: 'RejoinAfterLeave' enabled without snapshot file\n"
        "==> Starting Serf agent...\n"
    )
    with Client(agent.rpc) as client:
        assert client.members()[0].tags == {"role": "web"}


@pytest.mark.statement("A-121", "A-122")
def test_ports_in_use(start):
    first = start("n1")
    out = start.refused(f"-rpc-addr={first.rpc}")
    assert out == (
        "==> Starting Serf agent...\n"
        f"==> Error starting RPC listener: listen tcp {first.rpc}: bind: address already in use\n"
    )
    out = start.refused(f"-bind={first.gossip}")
    assert out == (
        "==> Starting Serf agent...\n==> Failed to start the Serf agent: Error creating Serf: "
        "Failed to create memberlist: Could not set up network transport: failed to obtain an address: "
        f'Failed to start TCP listener on "{first.host}" port 27946: '
        f"listen tcp {first.gossip}: bind: address already in use\n"
    )
    out = start.refused("-rpc-addr=127.0.0.1")
    assert out.endswith("Error starting RPC listener: listen tcp: address 127.0.0.1: missing port in address\n")


@pytest.mark.statement("A-123")
def test_a_join_at_the_start_that_fails(start):
    one, two = free_host(), free_host()
    out = start.refused("-node=n1", f"-join={one}:1", f"-join={two}:1")
    assert "==> Joining cluster...(replay: false)\n==> 2 errors occurred:\n\t* Failed to join " in out
    assert out.endswith("connection refused\n\n\n")
    assert "Log data" not in out
    assert "agent: joining" not in out


@pytest.mark.statement("A-125")
def test_retries_of_a_join_run_out(start):
    agent = start("n1", f"-retry-join={free_host()}:1", "-retry-max=1", "-retry-interval=1s")
    assert agent.wait_exit() == 1
    assert agent.output.count("[INFO] agent: Joining cluster...(replay: false)\n") == 2
    assert "[WARN] agent: Join failed: 1 error occurred:\n" in agent.output
    assert ", retrying in 1s\n" in agent.output
    assert "[ERR] agent: maximum retry join attempts made, exiting\n" in agent.output


@pytest.mark.statement("A-126")
def test_retries_of_a_join_go_on_until_it_works(start):
    host = free_host()
    agent = start("n1", f"-retry-join={host}:27946", "-retry-interval=1s")
    agent.wait_for(", retrying in 1s")
    start("n2", host=host)
    agent.wait_for("[INFO] agent: Join completed. Synced with 1 initial agents")


@pytest.mark.statement("A-127")
def test_positional_arguments_are_ignored(start):
    agent = start("n1", "what", "-bogus")
    assert "Node name: 'n1'" in agent.output


@pytest.mark.statement("A-255")
def test_times_are_local(start):
    agent = start("n1", env=os.environ | {"TZ": "Pacific/Kiritimati"})
    logged = agent.wait_for("Serf agent starting")[4:23]
    now = datetime.datetime.now(datetime.UTC).replace(tzinfo=None) + datetime.timedelta(hours=14)
    assert abs(now - datetime.datetime.strptime(logged, "%Y/%m/%d %H:%M:%S")) < datetime.timedelta(minutes=1)
