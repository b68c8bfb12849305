"""The same seed gives the same bytes, in this process, in another, and under any hash seed."""

import os
import random
import subprocess
import sys

import pytest

from serfcompat.sim import plans
from serfcompat.sim.cluster import Cluster
from serfcompat.sim.scenario import read
from serfcompat.sim.transcript import Recent, Transcript
from serfcompat.sim.watch import Watch

pytestmark = pytest.mark.sim

WRITE = """
import random, sys
from serfcompat.sim import plans
from serfcompat.sim.transcript import Transcript
scenario = plans.make("22", random.Random("plan 22"))
plans.run(scenario, random.Random, [Transcript(sys.stdout.write)])
"""


def transcript_of(text, seed=None):
    lines = []
    scenario = read(text)
    if seed:
        scenario = scenario.replace(seed=seed)
    scenario.play(random.Random, [Transcript(lines.append)])
    return "".join(lines)


def test_a_step_tells_why_it_was_made_and_what_came_of_it():
    text = transcript_of("nodes 3\nlatency 1ms\nat 4s crash n2\nrun 40s")
    assert "\n4.000000000 ! crash n2\n" in text
    assert " n1 start life 1 -> member-join n1; set probe in " in text
    lines = text.splitlines()
    [ping] = [line for line in lines if " n1 timer probe -> " in line and "send n3" in line][:1]
    number = ping.partition("[ping ")[2].partition("]")[0]
    assert any(
        " n3 packet from n1 " in line and f"[ping {number}]" in line and f"[ack {number}]" in line for line in lines
    )
    assert any("suspect n2@1 by n1" in line for line in lines)
    assert any("member-failed n2" in line for line in lines)


def test_one_seed_gives_one_transcript_and_another_another():
    text = "nodes 5\nloss 10%\nat 2s pause n3 for 5s\nrun 20s"
    assert transcript_of(text, "a") == transcript_of(text, "a") != transcript_of(text, "b")


def test_hash_seeds_and_processes_change_no_byte():
    texts = [
        subprocess.run(
            [sys.executable, "-c", WRITE],
            env=os.environ | {"PYTHONHASHSEED": hash_seed},
            capture_output=True,
            check=True,
            timeout=120,
        ).stdout
        for hash_seed in ("0", "1", "4242")
    ]
    assert texts[0].count(b"\n") > 3000
    assert texts[0] == texts[1] == texts[2]


def test_watching_changes_nothing():
    def traffic(observers):
        cluster = Cluster(5, seed=3, dice=random.Random, observers=observers)
        cluster.crash("n2")
        cluster.run(30)
        return [(host.traffic.packets, host.traffic.packet_bytes) for host in cluster.hosts]

    plan = plans.make("0", random.Random(0))
    watch = Watch(plans.laws_for(plan))
    assert traffic([]) == traffic([Transcript(lambda _: None), watch])


def test_what_is_recent_reads_as_the_end_of_the_transcript():
    lines, recent = [], Recent(20)
    read("nodes 4\nat 1s crash n2\nat 8s pause n3\nrun 9s").play(random.Random, [Transcript(lines.append), recent])
    assert str(recent) == "".join(lines[-20:])
    assert "pause n3" in str(recent)
