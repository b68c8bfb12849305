"""Scenarios: reading, writing and playing them; those of `tests/scenarios` are played as they are."""

import random
from pathlib import Path

import pytest

from serfcompat.errors import UsageError
from serfcompat.serf.config import Config
from serfcompat.sim import plans
from serfcompat.sim.scenario import Unexpected, read
from serfcompat.sim.watch import Watch
from serfcompat.swim.config import MemberlistConfig

pytestmark = pytest.mark.sim
SCENARIOS = sorted((Path(__file__).parent.parent / "scenarios").glob("*.txt"))


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_plays_as_expected(path):
    scenario = read(path.read_text())
    assert scenario.expectations
    scenario.play(random.Random, [Watch(plans.laws_for(scenario))])


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_reads_back_what_it_writes(path):
    scenario = read(path.read_text())
    assert read(str(scenario)) == scenario


@pytest.mark.parametrize("seed", range(30))
def test_plans_read_back_the_same(seed):
    plan = plans.make(str(seed), random.Random(seed))
    assert read(str(plan)) == plan


def test_settings_take_the_type_of_their_field():
    scenario = read(
        "nodes 2 serf\nprofile local\nset suspicion_mult 7\nset probe_interval 300ms\nset probe_timeout 0.1\n"
        "set enable_compression false\nset label blue\nset reconnect_interval 3s\nset secret_key 0123456789abcdef"
    )
    config = scenario.template()
    assert isinstance(config, Config)
    below = config.memberlist
    assert (below.suspicion_mult, below.probe_interval, below.probe_timeout) == (7, 0.3, 0.1)
    assert (below.enable_compression, below.label, below.secret_key) == (False, b"blue", b"0123456789abcdef")
    assert config.reconnect_interval == 3.0
    assert below.indirect_checks == MemberlistConfig.local().indirect_checks


def test_the_memberlist_level_has_no_serf_settings():
    assert isinstance(read("nodes 3 memberlist").template(), MemberlistConfig)
    with pytest.raises(UsageError, match="no setting 'reconnect_interval'"):
        read("nodes 3 memberlist\nset reconnect_interval 3s").template()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("seed 7\nnodes none", "line 2: 'none' is not a number above 0"),
        ("nodes 0", "is not a number above 0"),
        ("start later", "no line of a scenario"),
        ("at 5s", "no line of a scenario"),
        ("at soon crash n1", "'soon' is not a time"),
        ("loss 120%", "is not a share"),
        ("expect n1 sees n2 dead", "no line of a scenario"),
    ],
)
def test_bad_lines_are_named(text, complaint):
    with pytest.raises(UsageError, match=complaint):
        read(text)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("at 1s explode n1", "nothing that can be done"),
        ("at 1s crash n9", "no host n9"),
        ("at 1s partition n1 n9", "no host n9"),
        ("at 1s restart n1 quickly", "restart n1 how"),
        ("at 1s clock n1 0%", "can't run at"),
        ("expect by 2s n1 likes n2", "what is expected by"),
    ],
)
def test_senseless_lines_are_told_when_it_is_played(line, complaint):
    with pytest.raises(UsageError, match=complaint):
        read(f"nodes 3\nrun 3s\n{line}").play(random.Random)


def test_an_expectation_that_fails_says_what_is_so_instead():
    with pytest.raises(Unexpected, match=r"not so: expect by 5s n1 sees n2 dead \(seed 0\); n1 sees n2 alive"):
        read("nodes 3\nexpect by 5s n1 sees n2 dead").play(random.Random)
    with pytest.raises(Unexpected, match="n1 sees n2 alive; n3 sees n2 alive"):
        read("nodes 3\nat 1s crash n2\nexpect at 2s all agree").play(random.Random)


def test_at_means_then_and_by_means_once_until_then():
    read("nodes 3\nat 1s crash n2\nat 90s restart n2\nexpect by 120s n1 sees n2 gone").play(random.Random)
    with pytest.raises(Unexpected):
        read("nodes 3\nat 1s crash n2\nat 90s restart n2\nexpect at 120s n1 sees n2 gone").play(random.Random)


def test_what_lasts_ends_by_itself():
    lines = [
        "at 1s unplug n2 for 3s",
        "at 1s slow n3 by 100ms for 2s",
        "at 1s loss 50% for 1s",
        "at 2s clock n4 150% for 1s",
    ]
    cluster = read("\n".join(["nodes 4", *lines])).play(random.Random)
    assert cluster.network.impairments == []
    assert cluster["n3"].lag_ns == 0
    assert cluster["n4"].clock.rate == 1_000_000
    assert cluster.now == 4


def test_what_is_expected_by_a_time_has_to_come_true_after_what_stands_above():
    def outcome(text):
        return plans.run(read(f"nodes 3\n{text}"), random.Random)

    assert outcome("expect by 9s all agree\nat 5s crash n2\nrun 9s").broken is None
    assert outcome("at 5s crash n2\nexpect by 6s all agree").broken == "expectation"
    assert outcome("at 5s crash n2\nexpect after 0s by 6s all agree").broken is None
    assert outcome("at 5s crash n2\nat 9s restart n2\nexpect by 8s all agree").broken == "expectation"
    with pytest.raises(UsageError, match="line 2: after 14s it can't become true by 10s"):
        outcome("expect after 14s by 10s n1 sees n2 alive")


@pytest.mark.parametrize(
    "text",
    [
        "expect by 9s all agree\nat 5s crash n2",
        "at 5s pause n2 for 9s\nexpect by 40s all agree\nexpect at 9s n1 sees n2 alive",
    ],
)
def test_since_when_an_expectation_counts_reads_back_the_same(text):
    scenario = read(text)
    assert read(str(scenario)) == scenario
