"""Configuration files (spec agent §2.1, §2.2, §2.4.1): decoding by itself, and in agents of both kinds."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serfcompat.agent.config import DEFAULTS, FIELDS, AgentConfig, ConfigError, merge
from serfcompat.agent.config_files import decode, read_paths
from serfcompat.errors import RPCError
from serfcompat.rpc.client import Client
from tests.agents import run_serf

# --- decoding --------------------------------------------------------------------------------------------------------


def test_every_key_of_the_specification_is_known():
    assert len(FIELDS) == 44


@pytest.mark.statement("A-131", "A-132", "A-140")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("null", AgentConfig()),
        ('{"Node_Name": "a"} trailing', AgentConfig(node_name="a")),
        ('{"node_name": null, "tags": null, "protocol": null}', AgentConfig()),
        ('{"protocol": 4.7}', AgentConfig(protocol=4)),
        ('{"retry_interval": "1m30s", "broadcast_timeout": "0s"}', AgentConfig(retry_interval=90_000_000_000)),
        (
            '{"mdns": {"Interface": "lo", "disable_ipv6": true}}',
            AgentConfig(mdns_interface="lo", mdns_disable_ipv6=True),
        ),
        (
            '{"disable_coordinates": true, "msgpackusenewtimeformat": true}',
            AgentConfig(disable_coordinates=True, msgpack_use_new_time_format=True),
        ),
        ('{"tags": {"a": "b"}, "start_join": ["x"]}', AgentConfig(tags={"a": "b"}, start_join=["x"])),
    ],
)
def test_what_files_may_say(text, expected):
    assert decode(text.encode()) == expected


BROKEN = [
    ("{", "unexpected EOF"),
    ("nope", "invalid character 'o' in literal null (expecting 'u')"),
    ("", "EOF"),
    ("[]", "'' expected a map, got 'slice'"),
    ("5", "'' expected a map, got 'float64'"),
    ('{"foo":1,"bar":2}', "1 error(s) decoding:\n\n* '' has invalid keys: bar, foo"),
    (
        '{"node_name":5}',
        "1 error(s) decoding:\n\n* 'node_name' expected type 'string', got unconvertible type 'float64', value: '5'",
    ),
    (
        '{"leave_on_terminate":"true"}',
        "1 error(s) decoding:\n\n"
        "* 'leave_on_terminate' expected type 'bool', got unconvertible type 'string', value: 'true'",
    ),
    (
        '{"protocol":"4"}',
        "1 error(s) decoding:\n\n* 'protocol' expected type 'int', got unconvertible type 'string', value: '4'",
    ),
    (
        '{"tags":{"a":1}}',
        "1 error(s) decoding:\n\n* 'tags[a]' expected type 'string', got unconvertible type 'float64', value: '1'",
    ),
    ('{"tags":["a=b"]}', "1 error(s) decoding:\n\n* 'tags' expected a map, got 'slice'"),
    (
        '{"event_handlers":"x.sh"}',
        "1 error(s) decoding:\n\n* 'event_handlers': source data must be an array or slice, got string",
    ),
    (
        '{"start_join":["a",true]}',
        "1 error(s) decoding:\n\n"
        "* 'start_join[1]' expected type 'string', got unconvertible type 'bool', value: 'true'",
    ),
    (
        '{"node_name":5,"bind":true}',
        "2 error(s) decoding:\n\n"
        "* 'bind' expected type 'string', got unconvertible type 'bool', value: 'true'\n"
        "* 'node_name' expected type 'string', got unconvertible type 'float64', value: '5'",
    ),
    ('{"retry_interval":"30"}', 'time: missing unit in duration "30"'),
    ('{"reconnect_timeout":"x"}', 'time: invalid duration "x"'),
]


@pytest.mark.statement("A-128", "A-130")
@pytest.mark.parametrize(("text", "said"), BROKEN)
def test_what_files_may_not_say(text, said):
    with pytest.raises(ValueError) as caught:
        decode(text.encode())
    assert str(caught.value) == said


@pytest.mark.statement("A-128", "A-130", "A-132", "A-140")
def test_agents_refuse_what_files_may_not_say(start, tmp_path):
    for number, (text, said) in enumerate(BROKEN):
        path = tmp_path / f"{number}.conf"
        path.write_text(text)
        assert start.refused(f"-config-file={path}") == f"==> Error decoding '{path}': {said}\n"


@pytest.mark.property
@given(st.binary(max_size=60) | st.text(alphabet='{}[]":,ntfue01.\\', max_size=30).map(str.encode))
def test_nothing_but_value_errors(data):
    with contextlib.suppress(ValueError):
        decode(data)


json_values = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.property
@given(st.dictionaries(st.sampled_from(sorted(FIELDS)) | st.just("mdns"), json_values, max_size=4))
def test_values_are_taken_or_refused(value):
    with contextlib.suppress(ValueError):
        decode(json.dumps(value).encode())


def test_deep_nesting_is_refused():
    with pytest.raises(ValueError):
        decode(b"[" * 100_000)


# --- merging ---------------------------------------------------------------------------------------------------------


@pytest.mark.statement("A-134", "A-136", "A-137")
def test_later_sources_win_within_their_rules():
    first = AgentConfig(node_name="a", protocol=4, leave_on_terminate=True, tags={"x": "1", "y": "1"}, retry_interval=5)
    second = AgentConfig(bind="b", protocol=-1, leave_on_terminate=False, tags={"y": "2"}, event_handlers=["h"])
    merged = merge(first, second)
    assert merged == AgentConfig(
        node_name="a",
        bind="b",
        protocol=4,
        leave_on_terminate=True,
        tags={"x": "1", "y": "2"},
        retry_interval=5,
        event_handlers=["h"],
    )
    assert merge(second, AgentConfig(protocol=3, event_handlers=["i"])).event_handlers == ["h", "i"]


def test_the_defaults_are_those_of_the_specification():
    assert (DEFAULTS.bind, DEFAULTS.rpc_addr, DEFAULTS.log_level) == ("0.0.0.0", "127.0.0.1:7373", "INFO")
    assert DEFAULTS.reconnect_timeout == 24 * 3600 * 10**9


@pytest.mark.statement("A-133")
def test_directories_are_read_by_the_bytes_of_names(tmp_path):
    for name, content in {"B.json": "first", "a.json": "second", "c.txt": "no"}.items():
        (tmp_path / name).write_text(json.dumps({"node_name": content, "start_join": [content]}))
    (tmp_path / "d.json").mkdir()
    (tmp_path / "d.json" / "e.json").write_text('{"node_name": "deeper"}')
    config = read_paths([str(tmp_path)])
    assert (config.node_name, config.start_join) == ("second", ["first", "second"])


@pytest.mark.statement("A-129")
def test_paths_that_are_not_there(tmp_path):
    path = tmp_path / "absent"
    with pytest.raises(ConfigError) as caught:
        read_paths([str(path)])
    assert str(caught.value) == f"Error reading '{path}': open {path}: no such file or directory"


# --- in agents -------------------------------------------------------------------------------------------------------


def configured(start, tmp_path, *flags, name="n1", **settings):
    """An agent with a file of these settings."""
    path = tmp_path / f"{name}.json"
    path.write_text(json.dumps(settings))
    return start(name, f"-config-file={path}", *flags)


@pytest.mark.statement("A-133", "A-134", "A-135", "A-136")
def test_files_directories_and_flags_together(start, tmp_path):
    (tmp_path / "first.conf").write_text(
        '{"tags": {"a": "1", "b": "1"}, "event_handlers": ["user:x=one"], "log_level": "ERR"}'
    )
    directory = tmp_path / "conf.d"
    directory.mkdir()
    (directory / "B.json").write_text('{"tags": {"b": "2", "c": "2"}, "event_handlers": ["user:y=two"]}')
    (directory / "a.json").write_text('{"tags": {"c": "3", "d": "3"}, "node_name": "from-file"}')
    (directory / "z.txt").write_text("not JSON at all")
    agent = start(
        "by-flag",
        f"-config-file={tmp_path}/first.conf",
        f"-config-dir={directory}",
        "-tag=d=4",
        "-event-handler=query:z=three",
        "-log-level=INFO",
    )
    agent.wait_for("[INFO] agent: Serf agent starting")
    with Client(agent.rpc) as client:
        stats = client.stats()
        assert stats["agent"]["name"] == "by-flag"
        assert client.members()[0].tags == {"a": "1", "b": "2", "c": "3", "d": "4"}
        assert stats["event_handlers"] == {"user:x": "one", "user:y": "two", "query:z": "three"}


@pytest.mark.statement("A-129")
def test_agents_refuse_paths_that_are_not_there(start, tmp_path):
    for flag in ("config-file", "config-dir"):
        path = tmp_path / "absent"
        assert (
            start.refused(f"-{flag}={path}") == f"==> Error reading '{path}': open {path}: no such file or directory\n"
        )


@pytest.mark.statement("A-138")
def test_only_the_flag_switches_compression_off(start, tmp_path):
    agent = configured(start, tmp_path, enable_compression=False)
    assert "Message Compression Enabled: true\n" in agent.output
    assert "Message Compression Enabled: false\n" in start("n2", "-disable-compression").output


@pytest.mark.statement("A-139")
def test_coordinates_cannot_be_switched_off(start, tmp_path):
    agent = configured(start, tmp_path, disable_coordinates=True)
    with Client(agent.rpc) as client:
        assert client.coordinate("n1") is not None


@pytest.mark.statement("A-141")
def test_events_have_a_largest_limit(start, tmp_path):
    path = tmp_path / "large.json"
    path.write_text('{"user_event_size_limit": 9217}')
    said = "Failed to start the Serf agent: Error creating Serf: user event size limit exceeds limit of 9216 bytes\n"
    assert start.refused(f"-config-file={path}") == f"==> Starting Serf agent...\n==> {said}"


@pytest.mark.statement("A-142")
def test_limits_are_what_the_file_says(start, tmp_path):
    agent = configured(start, tmp_path, query_size_limit=200, query_response_size_limit=300, user_event_size_limit=100)
    with Client(agent.rpc) as client:
        with pytest.raises(RPCError, match="user event exceeds configured limit of 100 bytes before encoding"):
            client.user_event("x" * 101)
        with pytest.raises(RPCError, match="query exceeds limit of 200 bytes"):
            client.query("x" * 201)
        with client.stream("query") as stream:
            client.query("x", timeout=2)
            with pytest.raises(RPCError, match="response exceeds limit of 300 bytes"):
                client.respond(stream.get(10).id, b"x" * 301)


@pytest.mark.statement("A-145")
def test_only_a_file_can_demand_a_token(start, tmp_path, kind):
    agent = configured(start, tmp_path, rpc_auth="sesame")
    with Client(agent.rpc, "sesame") as client:
        assert len(client.members()) == 1
    with Client(agent.rpc) as client, pytest.raises(RPCError, match="Authentication required"):
        client.members()
    assert run_serf(kind, "agent", "-rpc-auth=x").err == "flag provided but not defined: -rpc-auth\n"


@pytest.mark.statement("A-144")
def test_failed_members_are_forgotten(start, tmp_path):
    one = configured(start, tmp_path, reconnect_timeout="1s")
    two = start("n2", f"-join={one.gossip}")
    one.wait_for("EventMemberJoin: n2")
    two.kill()
    one.wait_for("EventMemberFailed: n2")
    one.wait_for("EventMemberReap: n2")


@pytest.mark.statement("A-143", "A-169")
def test_two_members_of_one_name(start, tmp_path):
    one = start("same")
    other = start("other", f"-join={one.gossip}")
    loser = start("same", f"-join={one.gossip}")
    assert loser.wait_exit(30) == 0
    # Debian mends upstream's spelling.
    assert "minority in name conflict resolution, quit" in loser.output
    with Client(one.rpc) as client, Client(other.rpc) as other_client:
        assert {member.name for member in client.members()} == {member.name for member in other_client.members()}
    path = tmp_path / "stubborn.json"
    path.write_text('{"disable_name_resolution": true}')
    stubborn = start("same", f"-config-file={path}", f"-join={one.gossip}")
    stubborn.wait_for("conflict")
    with Client(stubborn.rpc) as client:
        list(client.query("longer than any vote", timeout=4))
        assert client.stats()["agent"]["name"] == "same"
