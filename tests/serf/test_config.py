"""Configuration: defaults and what is refused."""

import pytest

from serfcompat.errors import UsageError
from serfcompat.serf.config import Config
from serfcompat.serf.node_names import name_problem


def refusal(**fields):
    with pytest.raises(UsageError) as caught:
        Config(**fields).check()
    return str(caught.value)


@pytest.mark.statement("S-002")
def test_protocols_two_to_five_are_spoken():
    assert refusal(protocol_version=1) == "Protocol version '1' too low. Must be in range: [2, 5]"
    assert refusal(protocol_version=6) == "Protocol version '6' too high. Must be in range: [2, 5]"
    for version in (2, 3, 4, 5):
        Config(protocol_version=version).check()


@pytest.mark.statement("S-104")
def test_user_events_have_a_cap():
    Config(user_event_size_limit=9216).check()
    assert refusal(user_event_size_limit=9217) == "user event size limit exceeds limit of 9216 bytes"


@pytest.mark.statement("S-198")
def test_the_defaults_are_upstreams():
    config = Config()
    assert (config.protocol_version, config.memberlist.gossip_interval, config.memberlist.retransmit_mult) == (
        4,
        0.2,
        4,
    )
    assert (config.broadcast_timeout, config.leave_propagate_delay) == (5.0, 1.0)
    assert (config.reap_interval, config.reconnect_interval) == (15.0, 30.0)
    assert config.reconnect_timeout == config.tombstone_timeout == 86400.0
    assert (config.flap_timeout, config.recent_intent_timeout) == (60.0, 300.0)
    assert (config.queue_check_interval, config.queue_depth_warning) == (30.0, 128)
    assert (config.max_queue_depth, config.min_queue_depth) == (4096, 0)
    assert config.event_buffer == config.query_buffer == 512
    assert (config.query_timeout_mult, config.query_response_size_limit, config.query_size_limit) == (16, 1024, 1024)
    assert (config.user_event_size_limit, config.enable_name_conflict_resolution) == (512, True)
    assert not any(
        (
            config.tags, config.coalesce_period, config.quiescent_period, config.user_coalesce_period,
            config.user_quiescent_period, config.snapshot_path, config.rejoin_after_leave, config.disable_coordinates,
            config.keyring_file, config.merge, config.reconnect_timeout_override, config.validate_node_names,
        )
    )  # fmt: skip


@pytest.mark.statement("S-199")
@pytest.mark.parametrize("name", ["a_b", "a b", "a:b", "é", "_" * 200])
def test_strange_names_are_refused_if_checked(name):
    expected = (
        f"Node name contains invalid characters {name} , "
        "Valid characters include all alpha-numerics and dashes and '.' "
    )
    assert refusal(node_name=name, validate_node_names=True) == expected
    Config(node_name=name).check()


@pytest.mark.statement("S-200")
def test_names_have_at_most_128_bytes():
    assert name_problem(b"") is name_problem(b"n" * 128) is None
    assert name_problem(b"n" * 129) == "Node name is 129 characters. Valid length is between 1 and 128 characters"


def test_buffers_need_a_slot():  # defect D-7
    assert refusal(event_buffer=0, query_buffer=0) == "event_buffer must be at least 1; query_buffer must be at least 1"


def test_every_problem_is_named_at_once_the_level_below_included():
    text = refusal(protocol_version=1, memberlist=Config().memberlist.replace(bind_port=70000))
    assert "too low" in text
    assert "bind_port" in text
