"""Go's notation of durations."""

import pytest

from serfcompat.serf.duration import go_duration

SECOND = 1_000_000_000


@pytest.mark.parametrize(
    ("ns", "expected"),
    [
        (0, "0s"),
        (1, "1ns"),
        (-1, "-1ns"),
        (1_100, "1.1µs"),
        (2_200_000, "2.2ms"),
        (999_999_999, "999.999999ms"),
        (SECOND, "1s"),
        (-35 * SECOND, "-35s"),
        (10 * SECOND + 1, "10.000000001s"),
        (60 * SECOND, "1m0s"),
        (5 * 60 * SECOND + 30 * SECOND + SECOND // 1000, "5m30.001s"),
        (3600 * SECOND + SECOND // 4, "1h0m0.25s"),
        ((1 << 63) - 1, "2562047h47m16.854775807s"),
        (-(1 << 63), "-2562047h47m16.854775808s"),
    ],
)
def test_durations_read_as_go_prints_them(ns, expected):
    assert go_duration(ns) == expected
