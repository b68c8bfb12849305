"""Packets are kept, the last ones."""

from __future__ import annotations

import socket
import struct
import sys
import time

import pytest

from serfcompat.testing.capture import Capture

pytestmark = [pytest.mark.socket, pytest.mark.skipif(sys.platform != "linux", reason="packet sockets")]


@pytest.fixture
def opened():
    """Makes captures of loopback, for packets of one host; skips where that takes more rights."""
    made = []

    def make(host, **options):
        try:
            made.append(Capture("lo", network=f"{host}/32", **options))
        except PermissionError:
            pytest.skip("packet sockets need root, or CAP_NET_RAW")
        return made[-1]

    yield make
    for capture in made:
        capture.close()


def send(host, payloads):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender, socket.socket(type=socket.SOCK_DGRAM) as receiver:
        receiver.bind((host, 0))
        for payload in payloads:
            sender.sendto(payload, receiver.getsockname())
            receiver.recv(2000)


def await_packets(capture, wanted):
    deadline = time.monotonic() + 10
    while not wanted(len(capture)):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_each_packet_of_a_host_is_kept_once_and_no_other(opened, tmp_path):
    capture = opened("127.77.1.1")
    send("127.77.1.2", [b"of somebody else"])
    send("127.77.1.1", [b"first", b"second"])
    await_packets(capture, lambda kept: kept >= 2)
    capture.close()
    capture.save(tmp_path / "packets.pcap")
    data = (tmp_path / "packets.pcap").read_bytes()
    assert struct.unpack("<IHH", data[:8]) == (0xA1B2C3D4, 2, 4)
    packets, at = [], 24
    while at < len(data):
        seconds, _, kept, size = struct.unpack("<IIII", data[at : at + 16])
        assert abs(seconds - time.time()) < 60
        assert kept == size
        packets.append(data[at + 16 : at + 16 + kept])
        at += 16 + kept
    assert [packet[42:] for packet in packets] == [b"first", b"second"]


def test_the_oldest_packets_go_first(opened, tmp_path):
    capture = opened("127.77.1.3", limit=5000)
    send("127.77.1.3", [bytes([number]) * 1000 for number in range(20)])
    capture.close()
    assert len(capture) == 4
    capture.save(tmp_path / "packets.pcap")
    assert (tmp_path / "packets.pcap").read_bytes()[-1] == 19


def test_an_interface_that_is_not_there_is_an_error():
    with pytest.raises(OSError):
        Capture("nosuch0")
