"""`serfcompat simulate`, as it is typed."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.sim
SCENARIOS = Path(__file__).parent.parent / "scenarios"


def simulate(*args, cwd=None):
    """Run the command; (exit status, stdout, stderr)."""
    ran = subprocess.run(
        [sys.executable, "-m", "serfcompat", "simulate", *map(str, args)],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=cwd,
    )
    return ran.returncode, ran.stdout, ran.stderr


def test_tells_what_an_operator_asks_for():
    code, out, err = simulate("--nodes", 30, "--kill", 2, "--loss", 0.05, "--seconds", 40, "--seed", 7)
    assert (code, err) == (0, "")
    rows = dict(line.strip().rsplit("  ", 1) for line in out.splitlines())
    rows = {name.strip(): value.strip() for name, value in rows.items()}
    assert rows["nodes / killed"] == "30 / 2"
    assert rows["failed, known to everybody"] == "2, 2"
    assert rows["false failures"] == "0"
    median, most = map(float, rows["full dissemination, median / max s"].split(" / "))
    first, _ = map(float, rows["first detection, median / max s"].split(" / "))
    assert 4 < first < median <= most < 35
    assert 200 < float(rows["bytes per node and second"]) < 800


def test_json_is_the_same_for_the_same_seed_but_for_the_wall_clock():
    def answer(seed):
        code, out, _ = simulate("-format=json", "-nodes=20", "-kill=1", "-seconds=30", f"-seed={seed}")
        assert code == 0
        found = json.loads(out)
        assert found.pop("wall_seconds") > 0
        return found

    first = answer("a")
    assert {"nodes", "killed", "failed", "false_failures", "messages", "bytes_per_node_second"} <= first.keys()
    assert (first["nodes"], first["killed"], first["failed"]) == (20, 1, 1)
    assert first == answer("a")
    assert first != answer("b")


def test_the_report_is_one_page_that_needs_nothing_else(tmp_path):
    code, out, _ = simulate("-nodes=20", "-kill=2", "-seconds=40", f"-html={tmp_path / 'report.html'}")
    assert code == 0
    assert f"Report written to {tmp_path / 'report.html'}" in out
    page = (tmp_path / "report.html").read_text()
    assert page.count("<svg") == 5
    for heading in ("Summary", "How the news spreads", "How soon failures are detected", "Traffic", "What the others"):
        assert f"<h2>{heading}" in page
    assert "http" not in page.replace("http-equiv", "")
    assert "serfcompat simulate -nodes 20 -kill 2 -seconds 40 -seed 0" in page


def test_a_sweep_sets_results_side_by_side():
    code, out, _ = simulate("-nodes=20", "-kill=1", "-seconds=60", "-sweep=suspicion_mult=2,8", "-format=json")
    assert code == 0
    short, long = json.loads(out)
    assert (short["settings"], long["settings"]) == ("suspicion_mult=2", "suspicion_mult=8")
    assert long["first_detection_median"] > short["first_detection_median"] + 2
    code, out, _ = simulate("-nodes=10", "-seconds=5", "-sweep=gossip_nodes=2,3", "-sweep=probe_interval=1s,2s")
    assert code == 0
    header = out.splitlines()[:2]
    assert header[0].count("gossip_nodes=2") == header[0].count("gossip_nodes=3") == 2


def test_settings_are_in_force():
    def detection(*settings):
        _, out, _ = simulate("-nodes=10", "-kill=1", "-seconds=40", "-format=json", *settings)
        return json.loads(out)["first_detection_median"]

    assert detection("-set=suspicion_mult=9", "-set=suspicion_max_timeout_mult=1") > 9
    assert detection("-set=suspicion_mult=2", "-set=suspicion_max_timeout_mult=1") < 7


def test_a_transcript_has_every_step(tmp_path):
    path = tmp_path / "steps.log"
    assert simulate("-nodes=5", "-kill=1", "-seconds=20", f"-transcript={path}")[0] == 0
    lines = path.read_text().splitlines()
    assert len([line for line in lines if " ! crash n" in line]) == 1
    assert len(lines) > 500


def test_a_scenario_is_played_under_all_laws(tmp_path):
    code, out, _ = simulate("-scenario", SCENARIOS / "crash.txt")
    assert code == 0
    assert out.startswith("All laws hold, and 2 expectations, in ")
    wrong = tmp_path / "wrong.txt"
    wrong.write_text("nodes 3\nat 1s crash n2\nexpect by 2s n1 sees n2 failed\n")
    code, out, _ = simulate("-scenario", wrong)
    assert code == 2
    wanted = "expect after 1s by 2s n1 sees n2 failed"
    assert out.endswith(f"not so: {wanted} (seed 0); n1 sees n2 alive, n3 sees n2 alive\n")
    assert "1.000000000 ! crash n2\n" in out


def test_random_plans_are_run_and_counted():
    code, out, _ = simulate("-plans=2", "-first=22")
    assert code == 0
    assert out.startswith("2 plans hold all laws, in ")
    code, out, _ = simulate("-plans=1", "-first=22", "-format=json")
    assert sum(json.loads(out)["coverage"].values()) >= 3


def test_plans_come_out_the_same_side_by_side():
    one, two = (simulate("-plans=3", f"-jobs={jobs}") for jobs in (1, 2))
    assert one == two
    assert one[1].startswith("3 plans hold all laws, in ")


BROKEN = """
import sys
from serfcompat.cli.main import main
from tests.sim.seeded_bugs import BUGS, seeded
bug = next(bug for bug in BUGS if bug.name == "clocks follow whoever speaks")
with seeded(bug):
    code = main(sys.argv[1:])
print("without the bug:", main(["simulate", "-scenario", "plan-22.txt"]))
sys.exit(code)
"""


def test_a_broken_law_shrinks_to_a_scenario_and_a_command_that_replays_it(tmp_path):
    root = Path(__file__).parents[2]
    ran = subprocess.run(
        [sys.executable, "-c", BROKEN, "simulate", "-plans=1", "-first=22"],
        capture_output=True, text=True, timeout=250, cwd=tmp_path, env={"PYTHONPATH": str(root), "PATH": ""},
    )  # fmt: skip
    assert ran.returncode == 2, ran.stderr
    assert "Plan 22 is broken: clocks never go back: " in ran.stdout
    assert "  serfcompat simulate -scenario plan-22.txt -transcript plan-22.log\n" in ran.stdout
    assert "without the bug: 0" in ran.stdout
    text = (tmp_path / "plan-22.txt").read_text()
    assert text.endswith("settle\n")
    assert len(text.splitlines()) < 10


@pytest.mark.parametrize(
    ("args", "complaint"),
    [
        (["-nodes=0"], "is not a number above 0"),
        (["-nodes=5", "-kill=5"], "5 of 5 nodes can't be killed"),
        (["-loss=2"], "is not a share"),
        (["-latency=fast"], "is not a time"),
        (["-seconds=0"], "at least one second"),
        (["-seconds=soon"], "at least one second"),
        (["-level=swim"], "no line of a scenario"),
        (["-set=speed"], "is no setting"),
        (["-set=speed=9"], "there is no setting 'speed'"),
        (["-set=suspicion_mult=x"], "suspicion_mult"),
        (["-set=probe_interval=100ms"], "probe_timeout must not exceed probe_interval"),
        (["-sweep=speed=1,2"], "there is no setting 'speed'"),
        (["-sweep=gossip_nodes=1,2", "-html=x"], "not for a sweep"),
        (["-format=xml"], "Invalid format: xml"),
        (["-scenario=/nowhere"], "/nowhere: No such file"),
        (["now"], "No arguments are expected"),
    ],
)
def test_wrong_options_are_told(args, complaint):
    code, out, _ = simulate(*args)
    assert code == 1
    assert complaint in out
    assert "Traceback" not in out
