"""Durations as Go reads and writes them (spec agent §1.1.2)."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serfcompat.agent.durations import format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("15s", 15_000_000_000),
        ("1m30s", 90_000_000_000),
        ("-1.5h", -5_400_000_000_000),
        ("500ms", 500_000_000),
        ("0", 0),
        ("-0", 0),
        ("+5s", 5_000_000_000),
        (".5s", 500_000_000),
        ("1.s", 1_000_000_000),
        ("1us", 1_000),
        ("1µs", 1_000),
        ("1μs", 1_000),
        ("1.9ns", 1),
        ("2h45m1s1ms1us1ns", 9_901_001_001_001),
        ("-9223372036854775808ns", -(2**63)),
    ],
)
def test_durations_go_accepts(text, ns):
    assert parse_duration(text) == ns


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("5", 'time: missing unit in duration "5"'),
        ("1s5", 'time: missing unit in duration "1s5"'),
        ("foo", 'time: invalid duration "foo"'),
        ("", 'time: invalid duration ""'),
        ("-", 'time: invalid duration "-"'),
        (".s", 'time: invalid duration ".s"'),
        ("5x", 'time: unknown unit "x" in duration "5x"'),
        ("1S", 'time: unknown unit "S" in duration "1S"'),
        ("9223372036854775808ns", 'time: invalid duration "9223372036854775808ns"'),
        ("99999999h", 'time: invalid duration "99999999h"'),
        ("٣s", 'time: invalid duration "٣s"'),
    ],
)
def test_durations_go_refuses(text, said):
    with pytest.raises(ValueError) as caught:
        parse_duration(text)
    assert str(caught.value) == said


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, "0s"),
        (1, "1ns"),
        (1500, "1.5µs"),
        (2_000_000, "2ms"),
        (30_000_000_000, "30s"),
        (90_000_000_000, "1m30s"),
        (3_600_000_000_000, "1h0m0s"),
        (-1_500_000_000, "-1.5s"),
        (1_000_000_001, "1.000000001s"),
    ],
)
def test_durations_as_go_prints_them(ns, text):
    assert format_duration(ns) == text


@pytest.mark.property
@given(st.integers(-(2**63), 2**63 - 1))
def test_what_is_printed_can_be_read(ns):
    assert parse_duration(format_duration(ns)) == ns


@pytest.mark.property
@given(st.text(alphabet="0123456789.+-hmsnuµ ", max_size=12))
def test_nothing_but_value_errors(text):
    with contextlib.suppress(ValueError):
        assert -(2**63) <= parse_duration(text) < 2**63
