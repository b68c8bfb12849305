"""Strings in Go's double quotes."""

from __future__ import annotations

import pytest

from serfcompat.agent.quoting import quote


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("plain", '"plain"'),
        ('a"b\\c', '"a\\"b\\\\c"'),
        ("\a\b\f\n\r\t\v", '"\\a\\b\\f\\n\\r\\t\\v"'),
        ("\x00\x7f\udcff", '"\\x00\\x7f\\xff"'),
        ("é\u200b\U000e0001", '"é\\u200b\\U000e0001"'),
    ],
)
def test_quotes(text, quoted):
    assert quote(text) == quoted
