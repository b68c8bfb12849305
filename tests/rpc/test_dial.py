"""What a user reads when an agent can't be reached (spec agent §1.1.4)."""

from __future__ import annotations

import os
import socket

import pytest

from serfcompat.errors import AgentUnreachable
from serfcompat.rpc.dial import dial, reason, split_host_port


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("", "dial tcp: missing address"),
        ("127.0.0.99", "dial tcp: address 127.0.0.99: missing port in address"),
        ("::1", "dial tcp: address ::1: too many colons in address"),
        ("[::1", "dial tcp: address [::1: missing ']' in address"),
        ("[::1]", "dial tcp: address [::1]: missing port in address"),
        ("[::1]:80:81", "dial tcp: address [::1]:80:81: too many colons in address"),
        ("a]:80", "dial tcp: address a]:80: unexpected ']' in address"),
        ("127.0.0.1:99999", "dial tcp: address 99999: invalid port"),
        ("127.0.0.1:no-such-service", "dial tcp: lookup tcp/no-such-service: unknown port"),
        ("\udcff.invalid:80", "dial tcp: lookup \udcff.invalid: no such host"),
    ],
)
def test_addresses_that_make_no_sense(address, said):
    with pytest.raises(AgentUnreachable) as caught:
        dial(address, 1)
    assert str(caught.value) == said


@pytest.mark.parametrize(
    ("address", "parts"),
    [("a:1", ("a", "1")), ("[::1]:7373", ("::1", "7373")), (":7373", ("", "7373")), ("a:", ("a", ""))],
)
def test_addresses_that_make_sense(address, parts):
    assert split_host_port(address) == parts


@pytest.mark.socket
def test_nobody_there():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(AgentUnreachable) as caught:
            dial(f"127.0.0.1:{port}", 1)
    assert str(caught.value) == f"dial tcp 127.0.0.1:{port}: connect: connection refused"
    assert isinstance(caught.value.__cause__, ConnectionRefusedError)


@pytest.mark.socket
def test_unix_sockets(tmp_path):
    path = tmp_path / "rpc.sock"
    with pytest.raises(AgentUnreachable) as caught:
        dial(f"unix://{path}", 1)
    assert str(caught.value) == f"dial unix {path}: connect: no such file or directory"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.fspath(path))
        listener.listen()
        dial(f"unix://{path}", 1).close()


def test_timeouts_are_worded_as_go_does():
    assert reason("connect", TimeoutError("timed out")) == "i/o timeout"
