"""What a user may type as an address (spec memberlist §6.14)."""

import logging

import pytest

from serfcompat.runtime.resolve import ResolveError, resolve, split_target
from serfcompat.wire.address import ip_bytes

PORT = 7946


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10.0.0.1", ("", "10.0.0.1", PORT)),
        ("10.0.0.1:80", ("", "10.0.0.1", 80)),
        ("[::1]", ("", "::1", PORT)),
        ("::1", ("", "::1", PORT)),
        ("[::1]:80", ("", "::1", 80)),
        ("::1:8000", ("", "::1:8000", PORT)),
        ("1.1.1.1:0", ("", "1.1.1.1", 0)),
        ("web1/10.0.0.1:80", ("web1", "10.0.0.1", 80)),
        ("a/b/1.1.1.1", ("a", "b/1.1.1.1", PORT)),
        ("host.example", ("", "host.example", PORT)),
    ],
)
@pytest.mark.statement("M-181")
def test_accepted_forms(text, expected):
    assert split_target(text, PORT) == expected


@pytest.mark.parametrize("text", [":80", "", "1.1.1.1:", "1.1.1.1:70000", "/1.1.1.1", "1.1.1.1:http", "[::1"])
@pytest.mark.statement("M-181")
def test_refused_forms(text):
    with pytest.raises(ResolveError):
        split_target(text, PORT)


def test_a_literal_needs_no_look_up_and_keeps_its_name():
    (target,) = resolve("web1/10.0.0.1", default_port=PORT, dns_config_path="/nowhere", log=logging.getLogger())
    assert target.address.ip == ip_bytes("10.0.0.1")
    assert target.address.port == PORT
    assert target.name == b"web1"


@pytest.mark.socket
def test_localhost_is_found_by_the_system():
    targets = resolve("localhost:1", default_port=PORT, dns_config_path="/nowhere", log=logging.getLogger())
    assert ip_bytes("127.0.0.1") in [target.address.ip for target in targets]


@pytest.mark.socket
@pytest.mark.statement("M-182")
def test_a_dotted_name_falls_back_to_the_system_when_the_name_server_cannot_be_asked(caplog):
    with caplog.at_level(logging.DEBUG), pytest.raises(ResolveError, match=r"lookup no-such-host\.invalid"):
        resolve("no-such-host.invalid", default_port=PORT, dns_config_path="/nowhere", log=logging.getLogger("t"))
    assert "asking the system" in caplog.text
