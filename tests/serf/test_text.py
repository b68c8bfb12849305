"""Names between bytes and text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serfcompat.serf.text import raw, raw_map, shown, text, text_map


@pytest.mark.property
@given(st.binary())
def test_any_name_comes_back_as_it_was(name):
    assert raw(text(name)) == name
    assert raw_map(text_map({name: name})) == {name: name}


@pytest.mark.property
@given(st.binary())
def test_any_name_can_be_logged(name):
    shown(name).encode("utf-8")


def test_stray_bytes_are_shown_as_escapes():
    assert shown(b"n\xff\xc3\xa9") == "n\\xffé"
