"""Defaults and validation (spec memberlist §8)."""

from __future__ import annotations

import dataclasses
import math

import pytest

from serfcompat.errors import UsageError
from serfcompat.swim.config import MemberlistConfig, Timing, seconds_to_ns

LAN = {
    "name": "",
    "label": b"",
    "skip_inbound_label_check": False,
    "bind_addr": "0.0.0.0",
    "bind_port": 7946,
    "advertise_addr": "",
    "advertise_port": 7946,
    "protocol_version": 2,
    "delegate_protocol": (0, 0, 0),
    "tcp_timeout": 10.0,
    "indirect_checks": 3,
    "retransmit_mult": 4,
    "suspicion_mult": 4,
    "suspicion_max_timeout_mult": 6,
    "push_pull_interval": 30.0,
    "probe_interval": 1.0,
    "probe_timeout": 0.5,
    "disable_tcp_pings": False,
    "awareness_max_mult": 8,
    "gossip_interval": 0.2,
    "gossip_nodes": 3,
    "gossip_to_the_dead_time": 30.0,
    "gossip_verify_incoming": True,
    "gossip_verify_outgoing": True,
    "enable_compression": True,
    "secret_key": None,
    "keyring": (),
    "dns_config_path": "/etc/resolv.conf",
    "handoff_queue_depth": 1024,
    "udp_buffer_size": 1400,
    "dead_node_reclaim_time": 0.0,
    "require_node_names": False,
    "cidrs_allowed": (),
    "queue_check_interval": 30.0,
    "logger": None,
}
WAN = {
    "tcp_timeout": 30.0,
    "suspicion_mult": 6,
    "push_pull_interval": 60.0,
    "probe_interval": 5.0,
    "probe_timeout": 3.0,
    "gossip_interval": 0.5,
    "gossip_nodes": 4,
    "gossip_to_the_dead_time": 60.0,
}
LOCAL = {
    "tcp_timeout": 1.0,
    "indirect_checks": 1,
    "retransmit_mult": 2,
    "suspicion_mult": 3,
    "push_pull_interval": 15.0,
    "probe_timeout": 0.2,
    "gossip_interval": 0.1,
    "gossip_to_the_dead_time": 15.0,
}
OURS = {"lost_node_retry_time": 86400.0}
"Fields that upstream does not have."


@pytest.mark.statement("M-201")
@pytest.mark.parametrize(
    ("profile", "differs"),
    [(MemberlistConfig.lan, {}), (MemberlistConfig.wan, WAN), (MemberlistConfig.local, LOCAL), (MemberlistConfig, {})],
)
def test_defaults_of_each_profile(profile, differs):
    config = profile()
    assert {f.name: getattr(config, f.name) for f in dataclasses.fields(config)} == LAN | OURS | differs
    assert config.problems() == []


def test_changes_to_a_profile_win():
    assert MemberlistConfig.wan(probe_interval=9.0).probe_interval == 9.0
    assert MemberlistConfig.local().replace(gossip_nodes=1).gossip_nodes == 1


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"protocol_version": 0}, "protocol_version 0 is not in range: [1, 5]"),
        ({"protocol_version": 6}, "protocol_version 6 is not in range: [1, 5]"),
        ({"label": b"x" * 256}, "label is 256 bytes long"),
        ({"secret_key": b"short"}, "one of 5 bytes was given"),
        ({"keyring": [bytes(16), bytes(17)]}, "one of 17 bytes was given"),
        ({"bind_port": 65536}, "bind_port 65536 is not a port"),
        ({"advertise_port": -1}, "advertise_port -1 is not a port"),
        ({"probe_interval": -1.0}, "probe_interval must be a number of seconds; 0 disables it"),
        ({"gossip_interval": math.inf}, "gossip_interval must be"),
        ({"push_pull_interval": math.nan}, "push_pull_interval must be"),
        ({"queue_check_interval": -0.1}, "queue_check_interval must be"),
        ({"probe_timeout": 0.0}, "probe_timeout must be a positive number of seconds"),
        ({"tcp_timeout": 0.0}, "tcp_timeout must be a positive number of seconds"),
        ({"probe_timeout": 1.5}, "probe_timeout must not exceed probe_interval"),
        ({"gossip_to_the_dead_time": -1.0}, "gossip_to_the_dead_time must be"),
        ({"dead_node_reclaim_time": -1.0}, "dead_node_reclaim_time must be"),
        ({"lost_node_retry_time": -1.0}, "lost_node_retry_time must be"),
        ({"udp_buffer_size": 100}, "udp_buffer_size 100 leaves no room"),
        ({"delegate_protocol": (0, 256, 0)}, "each version must be 0 to 255"),
        ({"cidrs_allowed": ["10.0.0.0"]}, "cidrs_allowed: not a network"),
        ({"indirect_checks": -1}, "indirect_checks must not be negative"),
        ({"handoff_queue_depth": -1}, "handoff_queue_depth must not be negative"),
    ],
)
@pytest.mark.statement("M-184")
def test_a_wrong_value_is_named(wrong, told):
    (problem,) = MemberlistConfig.lan(**wrong).problems()
    assert told in problem


def test_all_problems_are_told_at_once():
    with pytest.raises(UsageError) as raised:
        MemberlistConfig.lan(protocol_version=9, bind_port=-1, gossip_nodes=-1).check()
    assert str(raised.value).count(";") == 2


def test_disabled_loops_are_no_problem():
    off = dict.fromkeys(("probe_interval", "gossip_interval", "push_pull_interval", "queue_check_interval"), 0.0)
    assert MemberlistConfig.lan(**off).problems() == []


def test_keys_are_not_shown():
    shown = repr(MemberlistConfig.lan(secret_key=b"0123456789abcdef", keyring=[b"fedcba9876543210"]))
    assert "0123456789abcdef" not in shown
    assert "fedcba9876543210" not in shown


def test_times_are_converted_once_to_whole_nanoseconds():
    timing = Timing.of(MemberlistConfig.lan(probe_timeout=0.1))
    assert timing.probe_timeout_ns == 100_000_000
    assert timing.gossip_interval_ns == 200_000_000
    assert timing.lost_node_retry_time_ns == 86_400 * 10**9
    assert all(isinstance(value, int) for value in timing)
    assert seconds_to_ns(0.0000000014) == 1
