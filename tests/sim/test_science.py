"""The figures that `benchmarks/science*.py` prints, in small: they agree with the published ones."""

import statistics

import pytest

from benchmarks import science_detection, science_dissemination, science_lifeguard, science_load
from serfcompat.sim import theory

pytestmark = pytest.mark.sim


def test_first_detection_takes_e_over_e_minus_1_periods():
    periods = science_detection.periods_in_step(100, 400)
    assert statistics.mean(periods) == pytest.approx(theory.FIRST_DETECTION, abs=0.15)


@pytest.mark.slow
def test_first_detection_over_ten_thousand_trials():
    periods = science_detection.periods_in_step(100, 10_000)
    assert statistics.mean(periods) == pytest.approx(theory.FIRST_DETECTION, abs=0.1)


def test_nodes_that_are_not_in_step_are_probed_after_one_period_on_average():
    assert statistics.mean(science_detection.seconds_unsynchronised(30, 300)) == pytest.approx(1.0, abs=0.15)


@pytest.mark.parametrize("nodes", [4, 9])
def test_nobody_waits_longer_for_its_turn_than_a_round_robin_allows(nodes):
    longest = science_detection.longest_wait(nodes, 150)
    assert nodes < longest <= theory.worst_detection(nodes)


@pytest.mark.parametrize("loss", [0.0, 0.3])
def test_news_spread_along_the_logistic_curve(loss):
    runs = science_dissemination.spread(100, 30, loss=loss)
    measured = statistics.mean(science_dissemination.ticks_between(known, 0.1, 0.9, 100) for known in runs)
    assert measured == pytest.approx(science_dissemination.logistic_ticks(100, 0.1, 0.9, loss), rel=0.12)
    everybody = [science_dissemination.ticks_between(known, 0.0, 1.0, 100) for known in runs]
    in_time = [ticks for ticks in everybody if ticks is not None and ticks <= 12]  # λ·log n
    assert len(in_time) >= (30 if not loss else 25)


def test_a_node_s_load_does_not_depend_on_the_size_of_the_cluster():
    small, large = science_load.load(10, 30), science_load.load(100, 30)
    for here, there in zip(small[:2], large[:2], strict=True):
        assert there == pytest.approx(here, rel=0.2)


@pytest.mark.slow
def test_a_node_s_load_is_the_same_among_ten_and_among_a_thousand():
    small, large = science_load.load(10, 30), science_load.load(1000, 30)
    for here, there in zip(small[:2], large[:2], strict=True):
        assert there == pytest.approx(here, rel=0.2)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_lifeguard_leaves_a_twentieth_of_swims_false_positives_and_is_as_fast():
    rows = science_lifeguard.run(["7"], [science_lifeguard.Anomaly(8, 16.0, 0.256)])
    swim, lifeguard = rows[0], rows[-1]
    assert swim.counts.false > 1000
    assert lifeguard.counts.false <= 0.05 * swim.counts.false
    assert lifeguard.counts.false_at_healthy <= 0.05 * swim.counts.false_at_healthy
    assert lifeguard.first == pytest.approx(swim.first, rel=0.1)
    assert lifeguard.counts.bytes < swim.counts.bytes


def test_the_curve_of_theory_begins_with_one_and_ends_with_all():
    assert theory.infected(100, 3, 0) == pytest.approx(1)
    assert theory.infected(100, 3, 100) == pytest.approx(100)
    assert theory.infected(100, 3, 2, loss=1.0) == pytest.approx(1)
    assert theory.first_detection(1000) == pytest.approx(theory.FIRST_DETECTION, abs=0.01)
    assert theory.first_detection(2) == 1.0
