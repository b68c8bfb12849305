"""Complaints are clear, and bounded."""

from __future__ import annotations

import logging

from serfcompat.swim.complaints import OncePerSource


def complaints(caplog) -> OncePerSource:
    caplog.set_level("ERROR")
    return OncePerSource(logging.getLogger("test"))


def test_a_cause_is_told_once_per_host(caplog):
    told = complaints(caplog)
    for source in ("10.0.0.1:1", "10.0.0.1:2", "10.0.0.2:1"):
        told.about("decrypt", source)
        told.about("crc", source)
    assert len(caplog.records) == 4
    assert "is the sender's encryption key the same as ours?" in caplog.records[0].message


def test_details_do_not_make_a_new_cause(caplog):
    told = complaints(caplog)
    told.about("compound_truncated:3", "10.0.0.1:1")
    told.about("compound_truncated:4", "10.0.0.1:1")
    told.about("some_cause", "10.0.0.1:1", detail="why")
    assert [record.message.partition(" (")[0] for record in caplog.records] == [
        "memberlist: truncated compound, so many messages are missing",
        "memberlist: some cause",
    ]
    assert ": 3; further" in caplog.records[0].message
    assert ": why; further" in caplog.records[1].message


def test_a_flood_of_forged_sources_cannot_fill_the_log(caplog):
    told = complaints(caplog)
    for number in range(100_000):
        told.about("crc", f"{number}:1")
    assert len(caplog.records) < 512 + 20
    assert len(told._said) == 512
