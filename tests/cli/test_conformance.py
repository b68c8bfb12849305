"""The command as far as it needs no agent."""

from __future__ import annotations

import json
import socket

import pytest

from serfcompat.cli.main import main

IMPL = "-impl=x agent -node={name} -bind={bind} -rpc-addr={rpc} {extra}"


def test_the_list_has_every_area(capfd):
    assert main(["conformance", "-list"]) == 0
    told = capfd.readouterr().out
    assert "ping: Pings and their acks" in told
    assert "A ping that names the node is answered" in told


def test_the_list_can_be_short(capfd):
    assert main(["conformance", "-list", "-only", "crc-good"]) == 0
    assert len(capfd.readouterr().out.splitlines()) == 2


@pytest.mark.parametrize(
    ("args", "complaint"),
    [
        ([], "either -impl COMMAND or -memberlist HOST:PORT"),
        ([IMPL, "-memberlist=127.0.0.1:1"], "either -impl COMMAND or -memberlist HOST:PORT"),
        (["-impl=x"], "--impl needs {bind}, {name}, {rpc}"),
        ([IMPL + " {foo}"], "--impl knows no {foo}"),
        (["-impl='x"], "can't be read as a command"),
        (["-memberlist=nowhere"], "-memberlist is HOST:PORT"),
        (["-memberlist=127.0.0.1:1", "-key=abc"], "-key is base64"),
        (["-memberlist=127.0.0.1:1", "-key=YWJj"], "16, 24 or 32 bytes"),
        ([IMPL, "-profile=fast"], "-profile fast"),
        ([IMPL, "-as=new"], "new is no release"),
        ([IMPL, "-only=bogus"], "no case and no area is called bogus"),
        ([IMPL, "-jobs=0"], "-jobs"),
        (["-format=pdf"], "-format pdf"),
        (["more"], "no arguments are expected"),
    ],
)
def test_a_wrong_option_is_named(args, complaint, capfd):
    assert main(["conformance", *args]) == 2
    assert complaint in capfd.readouterr().out


def test_a_node_that_is_not_there_cannot_be_judged_and_is_written_down(tmp_path, capfd):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{nobody.getsockname()[1]}"
        report, badge = tmp_path / "report.json", tmp_path / "badge.svg"
        args = [f"-memberlist={address}", "-only=push-pull-answer", "-format=json", f"-output={report}"]
        assert main(["conformance", *args, f"-badge={badge}", "-attempts=1"]) == 2
    told = json.loads(report.read_text())
    assert told["counts"]["error"] == 1
    assert told["settings"] == {"profile": "lan", "as": "newest", "only": "push-pull-answer"}
    assert "nobody answers" in told["results"][0]["why"]
    assert "not judged" in badge.read_text()
    captured = capfd.readouterr()
    assert "1 error" in captured.out
    assert "ERROR  push-pull-answer" in captured.err
