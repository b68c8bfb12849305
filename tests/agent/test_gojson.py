"""JSON as Go writes it (spec agent §1.1.6)."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serfcompat.agent.gojson import Struct, dumps

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@pytest.mark.statement("A-024")
def test_html_signs_are_escaped_and_other_text_is_not():
    assert dumps('<é>&\u2028\x01\x7f\udcff"\\') == '"\\u003cé\\u003e\\u0026\\u2028\\u0001\x7f\\ufffd\\"\\\\"'


@pytest.mark.statement("A-025")
def test_maps_are_sorted_and_indented_by_two():
    assert dumps({"b": 1, "a": {"y": [True, None], "x": {}}, "c": []}) == (
        '{\n  "a": {\n    "x": {},\n    "y": [\n      true,\n      null\n    ]\n  },\n  "b": 1,\n  "c": []\n}'
    )


def test_structs_keep_their_order():
    assert dumps(Struct(name=1, addr=2)) == '{\n  "name": 1,\n  "addr": 2\n}'


@pytest.mark.property
@given(values)
def test_it_is_json(value):
    assert json.loads(dumps(value)) == value


def test_other_types_are_a_mistake():
    with pytest.raises(TypeError):
        dumps(1.5)
