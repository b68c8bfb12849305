"""A large cluster fits into a test run: time and memory of a process of its own."""

import json
import subprocess
import sys

import pytest

RUN = """
import json, random, re, time
from pathlib import Path
from serfcompat.sim.experiment import Experiment
from serfcompat.sim.scenario import read
scenario = read("nodes {nodes}\\nloss 5%\\nseed 7")
result = Experiment(scenario=scenario, kill={kill}, seconds={seconds}).run(random.Random)
# Not ru_maxrss, which starts at what the process that forked this one had.
peak_kb = re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]
print(json.dumps(result.summary() | {{"cpu": time.process_time(), "mb": int(peak_kb) / 1024}}))
"""


def run(**how):
    text = RUN.format(**how)
    ran = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=900, check=True)
    return json.loads(ran.stdout)


@pytest.mark.sim
@pytest.mark.slow
@pytest.mark.timeout(1000)
def test_a_thousand_nodes_for_a_minute():
    result = run(nodes=1000, kill=10, seconds=60)
    assert result["disseminated"] == 10
    assert result["false_failures"] == 0
    assert result["cpu"] < 90  # 25 to 45 s, depending on who else uses the machine
    assert result["mb"] < 1000


@pytest.mark.sim
def test_two_hundred_nodes_for_some_seconds_are_no_burden():
    result = run(nodes=200, kill=0, seconds=10)
    assert result["cpu"] < 10
    assert result["mb"] < 150
