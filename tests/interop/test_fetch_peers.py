"""The script that gets the Go agents, as far as it can be tried without a network."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from serfcompat.testing import debian, peers

SCRIPT = Path(__file__).resolve().parents[2] / "interop" / "fetch-peers"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("deb http://a.test/debian bookworm main\n", [("http://a.test/debian", "bookworm")]),
        ("deb [arch=amd64 signed-by=/k] http://a.test/d trixie main\n", [("http://a.test/d", "trixie")]),
        ("# deb http://a.test/debian bookworm main\ndeb-src http://a.test/debian bookworm main\n", []),
        (
            "Types: deb\nURIs: http://a.test/debian\nSuites: bookworm bookworm-updates\n\n"
            "Types: deb\nURIs: http://b.test/debian-security\nSuites: bookworm-security\n",
            [
                ("http://a.test/debian", "bookworm"),
                ("http://a.test/debian", "bookworm-updates"),
                ("http://b.test/debian-security", "bookworm-security"),
            ],
        ),
    ],
    ids=["line", "options", "not in use", "stanzas"],
)
def test_both_formats_of_apts_sources_are_read(text, found):
    assert list(debian.sources(text)) == found


@pytest.mark.parametrize(("suite", "plain"), [("bookworm", True), ("bookworm-updates", False), ("noble", False)])
def test_only_whole_debian_releases_are_an_archive(suite, plain):
    assert bool(debian.DEBIAN_SUITE.match(suite)) is plain


def test_the_variable_goes_before_apts_settings(monkeypatch):
    monkeypatch.setenv("PEERS_MIRROR", "http://a.test/debian/")
    assert debian.archive() == "http://a.test/debian"


def peer(answer: str):
    return peers.Peer("tool-1.2", "bookworm", "tool", "tool", ["version"], answer)


def test_a_peer_is_present_if_it_runs_and_gives_the_right_answer(tmp_path):
    folder = tmp_path / "tool-1.2"
    folder.mkdir()
    (folder / "tool").write_text('#!/bin/sh\necho "answer to $1"\n')
    fetcher = peers.Fetcher(tmp_path, tmp_path)
    assert not fetcher.present(peer("answer"))  # not complete
    (folder / "debian-version").write_text("1.2-1\n")
    assert not fetcher.present(peer("answer"))  # can't be run
    (folder / "tool").chmod(0o755)
    assert fetcher.present(peer("answer to version"))
    assert not fetcher.present(peer("another answer"))


def test_an_unknown_peer_is_wrong_usage(tmp_path):
    done = subprocess.run(
        [sys.executable, SCRIPT, "serf-0.0.1", "--into", tmp_path / "new"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "no such peer: serf-0.0.1" in done.stderr
    assert not (tmp_path / "new").exists()
