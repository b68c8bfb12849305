"""The system log (spec agent §6.4)."""

from __future__ import annotations

import json
import os
import re
import socket

import pytest

from serfcompat.agent.syslog import Syslog, SyslogError


@pytest.fixture
def server(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(str(tmp_path / "log"))
        server.settimeout(10)
        yield server


@pytest.mark.socket
@pytest.mark.statement("A-257")
@pytest.mark.parametrize(
    ("level", "priority"), [("TRACE", 159), ("DEBUG", 158), ("INFO", 157), ("WARN", 156), ("ERR", 155), ("OTHER", 157)]
)
def test_datagrams(server, level, priority):
    syslog = Syslog("local3", [server.getsockname()])
    syslog.write(f"2026/11/24 04:29:00 [{level}] agent: Serf agent starting")
    syslog.close()
    stamp = r"(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [ \d]\d \d\d:\d\d:\d\d"
    pattern = rf"<{priority}>{stamp} serf\[{os.getpid()}\]: agent: Serf agent starting\n"
    assert re.fullmatch(pattern, server.recv(1000).decode())


@pytest.mark.socket
def test_a_line_without_a_level_is_a_notice(server):
    syslog = Syslog("USER", [server.getsockname()])
    assert syslog.datagram("bare").startswith(b"<13>")
    assert syslog.datagram("bare").endswith(b": bare\n")
    syslog.close()


@pytest.mark.socket
def test_a_stream_will_do_and_a_restart_is_survived(tmp_path):
    path = str(tmp_path / "log")
    syslog = None
    for _ in range(2):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
            server.bind(path)
            server.listen()
            syslog = syslog or Syslog("LOCAL0", [path])
            for number in range(3):
                syslog.write(f"[INFO] {number}")
            client, _address = server.accept()
            with client:
                assert b": 2\n" in client.recv(1000)
        os.unlink(path)
    syslog.write("[INFO] nobody listens")
    syslog.close()


def test_nobody_there(tmp_path):
    with pytest.raises(SyslogError, match="Unix syslog delivery error"):
        Syslog("LOCAL0", [str(tmp_path / "absent")])


@pytest.mark.statement("A-258")
def test_a_facility_that_does_not_exist(start, tmp_path):
    config = tmp_path / "syslog.json"
    config.write_text(json.dumps({"enable_syslog": True, "syslog_facility": "NOPE"}))
    assert start.refused(f"-config-file={config}") == "==> Syslog setup failed: invalid syslog facility: NOPE\n"
