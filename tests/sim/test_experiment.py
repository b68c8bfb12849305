"""What an experiment tells, its charts and its page."""

import random
import xml.etree.ElementTree as ET

import pytest

from serfcompat.errors import UsageError
from serfcompat.sim import charts
from serfcompat.sim.charts import Series, Strip
from serfcompat.sim.experiment import Experiment, Spread, sweep
from serfcompat.sim.page import page
from serfcompat.sim.scenario import read

pytestmark = pytest.mark.sim


def experiment(text="nodes 20", kill=2, seconds=40.0):
    return Experiment(scenario=read(text), kill=kill, seconds=seconds)


def test_deaths_are_counted_from_their_kill_on():
    result = experiment().run(random.Random)
    assert (result.killed, result.failed, result.disseminated) == (2, 2, 2)
    for death in result.measurement.deaths.values():
        assert 5e9 <= death.at_ns <= 40e9 / 3
        assert 0 < death.first_suspicion_ns < death.first_detection_ns <= death.dissemination_ns(18)
        assert death.dissemination_ns(19) is None
        assert len(death.failed_ns) == 18
    assert result.first_detection.median <= result.first_detection.most
    assert result.converged
    assert (result.false_failures, result.false_suspicions) == (0, 0)


def test_traffic_is_sampled_every_second_and_adds_up():
    result = experiment(seconds=30.5).run(random.Random)
    samples = result.measurement.samples
    assert len(samples) == 32
    assert samples[-1].packets - samples[0].packets == result.messages
    assert result.messages_per_node_second == pytest.approx(result.messages / 18 / 30.5)


def test_who_answers_and_is_buried_is_a_false_failure():
    scenario = read("nodes 6\nset suspicion_mult 1\nset suspicion_max_timeout_mult 1\nat 5s stall n3 for 30s")
    result = Experiment(scenario=scenario, seconds=60).run(random.Random)
    assert result.killed == 0
    # The stalled node buries the others, who answer. That they bury it is not false: it doesn't answer.
    falsely = result.measurement.false_failures
    assert "n3" in {observer for _, observer, _ in falsely}
    assert "n3" not in {buried for now_ns, _, buried in falsely if now_ns < 35e9}
    assert result.false_suspicions > 0


def test_progress_is_told_each_virtual_second():
    told = []
    experiment(seconds=3).run(random.Random, progress=told.append)
    assert told == [1, 2, 3]


@pytest.mark.parametrize("kill", [-1, 20, 21])
def test_somebody_must_be_left(kill):
    with pytest.raises(UsageError, match="at least one must be left"):
        experiment(kill=kill).run(random.Random)


def test_the_summary_is_plain():
    summary = experiment(seconds=10, kill=0).run(random.Random).summary()
    assert summary["first_detection_median"] is None
    assert all(value is None or isinstance(value, (int, float, str, bool)) for value in summary.values())


def test_a_spread_of_nothing_is_nothing():
    assert Spread.of([None, None]) == Spread(None, None)
    assert Spread.of([2_000_000_000, None, 1_000_000_000, 4_000_000_000]) == Spread(2.0, 4.0)


def test_a_sweep_has_every_combination_and_keeps_other_settings():
    first = experiment("nodes 5\nset indirect_checks 2")
    variants = sweep(first, [("suspicion_mult", ["3", "4"]), ("gossip_nodes", ["2", "5"])])
    assert [name for name, _ in variants] == [
        "suspicion_mult=3 gossip_nodes=2",
        "suspicion_mult=3 gossip_nodes=5",
        "suspicion_mult=4 gossip_nodes=2",
        "suspicion_mult=4 gossip_nodes=5",
    ]
    config = variants[-1][1].scenario.template().memberlist
    assert (config.suspicion_mult, config.gossip_nodes, config.indirect_checks) == (4, 5, 2)


# -- charts ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("most", "ticks", "step"), [(1, 5, 0.2), (9, 5, 2), (12, 5, 5), (0.03, 5, 0.01), (0, 5, 1)])
def test_steps_of_axes_are_nice(most, ticks, step):
    assert charts.nice_step(most, ticks) == pytest.approx(step)


def shapes(text, tag):
    """All elements of a kind in a chart, which must be well-formed."""
    root = ET.fromstring(f"<div>{text}</div>")
    return [element for element in root.iter() if element.tag == tag]


def test_lines_run_from_left_to_right_and_more_is_higher():
    text = charts.line_chart([Series("a", [(0, 0), (1, 5), (2, 10)], "series-1")], "s", "<things>")
    [line] = shapes(text, "polyline")
    points = [tuple(map(float, point.split(","))) for point in line.get("points").split()]
    assert points == sorted(points)
    assert [y for _, y in points] == sorted((y for _, y in points), reverse=True)
    assert "&lt;things&gt;" in text


def test_bars_stand_for_counts():
    text = charts.histogram([("a", [0.1, 0.2, 5.0], "series-1"), ("b", [5.0], "series-2")], "s", "n")
    assert [bar.find("title").text for bar in shapes(text, "rect")] == [
        "a: 2 from 0 to 0.5",
        "a: 1 from 5 to 5.5",
        "b: 1 from 5 to 5.5",
    ]


def test_strips_stack_to_the_whole():
    row = Strip("n1", [0, 1, 2], [[0, 0.5, 1], [1, 0.5, 0]])
    text = charts.strips([row], [("failed", "failed"), ("alive", "alive")], "s")
    failed, alive = shapes(text, "polygon")
    edge = set(failed.get("points").split()) & set(alive.get("points").split())
    assert len(edge) >= 3  # they meet along a line


@pytest.mark.parametrize("charted", [charts.line_chart([], "x", "y"), charts.histogram([("a", [], "c")], "x", "y")])
def test_nothing_to_draw_is_drawn_as_nothing(charted):
    assert shapes(charted, "polyline") == shapes(charted, "rect") == []


def test_the_page_is_well_formed_and_says_what_was_asked():
    asked = experiment("nodes 20\nseed <b>", kill=2)
    text = page(asked, asked.run(random.Random), "serfcompat simulate -seed '<b>'")
    body = text.partition("<body>")[2].partition("</body>")[0]
    root = ET.fromstring(f"<div>{body}</div>")
    assert len(list(root.iter("svg"))) == 5
    assert root.find("h1").text == "20 nodes, 2 killed, 40 s"
    assert "seed <b>" in root.find(".//pre").text
    assert "<script" not in text


def test_a_page_without_deaths_leaves_their_charts_out():
    asked = experiment(kill=0, seconds=5)
    assert page(asked, asked.run(random.Random), "x").count("<svg") == 2
