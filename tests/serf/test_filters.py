"""Query filters."""

import logging

import pytest

from serfcompat.serf.filters import all_match, encode_filters

LOG = logging.getLogger("serfcompat.serf")
TAGS = {"role": "web", "dc": "us-east", "odd": "web\n"}


def asks(*filters, me=b"node-a"):
    return all_match(list(filters), me, TAGS, LOG)


def tag(name, expression):
    [encoded] = encode_filters([], {name: expression})
    return encoded


@pytest.mark.statement("S-118")
def test_the_node_filter_comes_first_and_expr_before_tag():
    filters = encode_filters(["node-a", "node-b"], {"role": "^web"})
    assert [f.hex() for f in filters] == [
        "0092a66e6f64652d61a66e6f64652d62",
        "0182a445787072a45e776562a3546167a4726f6c65",
    ]
    assert encode_filters([], {"dc": "us-.*"}) == [bytes.fromhex("0182a445787072a575732d2e2aa3546167a26463")]
    assert encode_filters([], {}) is None


def test_the_node_filter_wants_the_exact_name():
    assert asks(*encode_filters(["node-b", "node-a"], {}))
    assert not asks(*encode_filters(["node-A", "node"], {}))


@pytest.mark.statement("S-119")
def test_all_filters_must_pass(caplog):
    [nodes] = encode_filters(["node-a"], {})
    assert asks(nodes, tag("role", "web"), tag("dc", "us"))
    assert not asks(nodes, tag("role", "web"), tag("dc", "eu"))
    assert not caplog.records
    assert not asks(nodes, b"\x02\x90")
    assert caplog.messages == ["serf: query has unrecognized filter type: 2"]


@pytest.mark.statement("S-120")
def test_an_expression_matches_anywhere_and_a_missing_tag_is_empty():
    assert asks(tag("role", "e"))
    assert asks(tag("nope", "^$"))
    assert not asks(tag("nope", "."))


@pytest.mark.statement("S-121")
def test_the_dialect_is_re2(caplog):
    assert not asks(tag("odd", "^web$"))
    assert not asks(tag("role", "(?<=w)eb"))
    assert not asks(tag("role", r"(w)\1"))
    assert [m.split(": ")[:2] for m in caplog.messages] == [
        ["serf", "failed to compile filter regex ((?<=w)eb)"],
        ["serf", r"failed to compile filter regex ((w)\1)"],
    ]
    assert all(record.levelno == logging.WARNING for record in caplog.records)


@pytest.mark.statement("S-122")
def test_an_empty_filter_fails_without_a_crash(caplog):
    assert not asks(b"")
    assert caplog.messages == ["serf: query has an empty filter"]


def test_undecodable_filters_fail_with_a_warning(caplog):
    assert not asks(b"\x00\x92\xa1")
    assert not asks(b"\x01\x01")
    assert [m.rpartition(": ")[0].partition(": ")[2].split(":")[0] for m in caplog.messages] == [
        "failed to decode filterNodeType",
        "failed to decode filterTagType",
    ]


def test_the_work_on_all_filters_is_bounded(caplog):
    filters = [tag("long", f"a*$|z{number}") for number in range(400)]  # each is fine by itself
    tags = {"long": "a" * 400}
    assert all_match(filters[:10], b"x", tags, LOG)
    assert not caplog.records
    assert not all_match(filters, b"x", tags, LOG)
    assert caplog.messages == ["serf: query has filters that need too much work"]
