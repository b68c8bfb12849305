"""Two runs' complaints can only be compared if all particulars are gone and all the rest is kept."""

from __future__ import annotations

import pytest

from serfcompat.testing.agent_logs import log_class, log_classes

STAMP = "    2026/11/24 04:29:00 "


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "[WARN] memberlist: Refuting a suspect message (from: go1)",
            "WARN memberlist: Refuting a suspect message (from: <name>)",
        ),
        (
            "[ERR] memberlist: Failed fallback TCP ping: dial tcp 127.0.0.1:7946: connect: connection refused",
            "ERR memberlist: Failed fallback TCP ping: dial tcp <addr>: connect: connection refused",
        ),
        (
            "[ERR] memberlist: Push/Pull with go10 failed: write tcp 127.0.0.2:4711->127.0.0.3:7946: i/o timeout",
            "ERR memberlist: Push/Pull with <name> failed: write tcp <addr>-><addr>: i/o timeout",
        ),
        (
            "[WARN] memberlist: Got bind error from=[::1]:7946 and fe80::1%lo and ::ffff:10.0.0.1",
            "WARN memberlist: Got bind error from=<addr> and <addr> and <addr>",
        ),
        (
            "[WARN] serf: query response timeout, delta: 1m2.5s, 30ms late, 17 of 20 bytes",
            "WARN serf: query response timeout, delta: #, # late, # of # bytes",
        ),
        ("[WARN] agent: Script 'x' slow, execution exceeding 1s", "WARN agent: Script 'x' slow, execution exceeding #"),
    ],
)
def test_particulars_are_removed_and_words_are_kept(line, expected):
    assert log_class(STAMP + line, ["go1", "go10"]) == expected


@pytest.mark.parametrize(
    "line", ["[INFO] serf: EventMemberJoin: go1 127.0.0.2", "[DEBUG] memberlist: x", "==> Error", ""]
)
def test_only_warnings_and_errors_have_a_class(line):
    assert log_class(STAMP + line, ["go1"]) is None


def test_a_name_is_not_looked_for_inside_of_words():
    assert (
        log_class("[WARN] agent: go1 was one of go1s in a-go1", ["go1"])
        == "WARN agent: <name> was one of go1s in a-go1"
    )


def test_lines_of_one_kind_are_counted_together():
    lines = [f"{STAMP}[WARN] memberlist: Refuting a suspect message (from: {name})" for name in ("n1", "n2", "n2")]
    assert log_classes([*lines, "[INFO] x"], ["n1", "n2"]) == {
        "WARN memberlist: Refuting a suspect message (from: <name>)": 3
    }
