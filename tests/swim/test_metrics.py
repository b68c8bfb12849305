"""The sink for tests, statistics and the simulator."""

from __future__ import annotations

import pytest

from serfcompat.swim.metrics import CountingMetrics, NullMetrics


def test_counters_add_gauges_keep_the_last_and_samples_all():
    sink = CountingMetrics()
    for value in (1, 2):
        sink.incr("c")
        sink.incr("c", value)
        sink.gauge("g", value)
        sink.sample("s", value)
    assert (sink.counters, sink.gauges, sink.samples) == ({"c": 5}, {"g": 2}, {"s": [1, 2]})


@pytest.mark.statement("M-205")
def test_a_gauge_with_labels_is_a_gauge_of_its_own():
    sink = CountingMetrics()
    sink.gauge("g", 1, {"node_state": "alive"})
    sink.gauge("g", 2, {"node_state": "dead"})
    assert sink.gauges == {'g{node_state="alive"}': 1, 'g{node_state="dead"}': 2}


def test_the_null_sink_takes_everything():
    sink = NullMetrics()
    sink.incr("c", 2)
    sink.gauge("g", 1, {"l": "v"})
    sink.sample("s", 1)
