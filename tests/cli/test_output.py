"""How answers are laid out (spec agent §1.1.7)."""

from __future__ import annotations

import pytest

from serfcompat.cli.output import columns, go_syntax


def test_every_cell_but_the_last_of_a_row_is_padded():
    assert columns(["a|bb|c", "aaa|b", "aa | b | cc "]) == "a    bb  c\naaa  b\naa   b   cc"


@pytest.mark.statement("A-064")
def test_a_bar_inside_a_name_makes_a_column():
    assert columns(["n|1|addr|alive", "n2|addr|alive"]) == "n   1     addr   alive\nn2  addr  alive"


@pytest.mark.statement("A-065")
def test_widths_are_code_points():
    assert columns(["é|x", "ab|y", "\udcff\udcfe\udcfd|z"]).splitlines() == [
        "é    x",
        "ab   y",
        "\udcff\udcfe\udcfd  z",
    ]


def test_an_empty_last_cell_leaves_two_spaces():
    assert columns(["n3|addr|alive|", "n|a|b|c"]) == "n3  addr  alive  \nn   a     b      c"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("user", '"user"'),
        (False, "false"),
        (1, "1"),
        (b"abc", "[]byte{0x61, 0x62, 0x63}"),
        (b"", "[]byte{}"),
        (None, "<nil>"),
        (
            [{"Addr": b"\x7f\0", "Name": "n"}],
            '[]interface {}{map[interface {}]interface {}{"Addr":[]uint8{0x7f, 0x0}, "Name":"n"}}',
        ),
    ],
)
def test_values_in_go_syntax(value, text):
    assert go_syntax(value) == text
