"""The grammar of flags (spec agent §1.1.2)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serfcompat.cli.flags import FlagError, FlagSet, boolean, duration, integer, parse_int, string, strings

FLAGS = FlagSet(
    boolean("coalesce", True, "Merge."),
    string("format", "text", "How to show it."),
    integer("factor", 0, "How many."),
    duration("timeout", 0, "How long."),
    strings("tag", "Which."),
    boolean("secret", False, "Not shown.", hidden=True),
)


def parse(*args):
    values, rest = FLAGS.parse(args)
    return {name: value for name, value in values.items() if value != FLAGS.parse([])[0][name]}, rest


@pytest.mark.statement("A-016")
@pytest.mark.parametrize("args", [["--format=json"], ["-format", "json"], ["-format=json"], ["--format", "json"]])
def test_dashes_and_equals_signs_are_a_matter_of_taste(args):
    assert parse(*args) == ({"format": "json"}, [])


@pytest.mark.statement("A-017")
def test_the_first_argument_ends_the_flags():
    assert parse("deploy", "-format=json") == ({}, ["deploy", "-format=json"])
    assert parse("--", "-format=json") == ({}, ["-format=json"])
    assert parse("-", "-format=json") == ({}, ["-", "-format=json"])
    assert parse("", "x") == ({}, ["", "x"])


@pytest.mark.statement("A-018")
def test_booleans_take_a_value_only_with_an_equals_sign():
    assert parse("-coalesce", "false", "x") == ({}, ["false", "x"])
    assert parse("-coalesce=F") == ({"coalesce": False}, [])


def test_scalars_are_replaced_and_lists_grow():
    assert parse("-format=a", "-format=b", "-tag=x", "-tag", "y") == ({"format": "b", "tag": ["x", "y"]}, [])
    assert parse("-format=") == ({"format": ""}, [])
    assert parse("-format=a=b") == ({"format": "a=b"}, [])
    assert parse("-format", "-tag") == ({"format": "-tag"}, [])


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("12", 12),
        ("-1", -1),
        ("+3", 3),
        ("0x10", 16),
        ("0b11", 3),
        ("017", 15),
        ("0o17", 15),
        ("1_000", 1000),
        ("0", 0),
    ],
)
def test_numbers(text, number):
    assert parse_int(text) == number


@pytest.mark.parametrize("text", ["", "x", "1.0", " 1", "1 ", "--1", "_1", "1__0", "08", "0x", "٣", "-"])
def test_what_is_no_number(text):
    with pytest.raises(ValueError):
        parse_int(text)


@pytest.mark.parametrize("text", ["9223372036854775808", "-9223372036854775809"])
def test_numbers_out_of_range(text):
    with pytest.raises(FlagError) as caught:
        parse(f"-factor={text}")
    assert str(caught.value) == f'invalid value "{text}" for flag -factor: value out of range'


def test_durations_are_nanoseconds():
    assert parse("-timeout=1m30s") == ({"timeout": 90_000_000_000}, [])


@pytest.mark.property
@given(st.lists(st.text(max_size=8), max_size=5))
def test_any_arguments_are_parsed_or_refused(args):
    try:
        values, rest = FLAGS.parse(args)
    except FlagError:
        return
    assert set(values) == {flag.name for flag in FLAGS.flags}
    assert list(args)[len(args) - len(rest) :] == rest


def test_help_wraps_and_hides():
    lines = FLAGS.help().splitlines()
    assert lines[0] == "  -coalesce                 Merge."
    assert "  -tag=<value>              Which." in lines
    assert "secret" not in FLAGS.help()
    long = FlagSet(string("a-flag-with-quite-a-long-name", "", "word " * 40)).help().splitlines()
    assert all(len(line) <= 79 for line in long)
    assert len(long) > 3
