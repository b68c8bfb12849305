"""The last packets of a network interface, kept in memory and written as a pcap file when something went wrong.

    with Capture("br0") as capture:
        ...
        capture.save(Path("failure.pcap"))

Needs Linux and the right to open packet sockets (root, or CAP_NET_RAW). As a program, for a machine where the
interface is out of reach, it writes the file when it is told to end:

    python -m serfcompat.testing.capture br0 --into /failure.pcap
"""

from __future__ import annotations

import argparse
import ctypes
import math
import os
import signal
import socket
import struct
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from ipaddress import IPv4Network
from pathlib import Path
from typing import Self

LIMIT = 32 << 20
"Bytes of packets kept; the oldest go first."
_SNAP = 2048
"Bytes kept of one packet: all of a datagram, the head of a large segment."
_BACKLOG = 1.0
"Seconds in which packets are still read when the capture has been closed: those that came before, on a busy interface."
_ETHERNET = 1
_ETH_P_ALL, _SOL_PACKET, _PACKET_ADD_MEMBERSHIP, _PACKET_MR_PROMISC = 3, 263, 1, 1
_OUTGOING = 4
_SO_ATTACH_FILTER = 26
_CLONE_NEWNET = 0x40000000


class Capture:
    """Keeps the packets of one interface from now on. Raises OSError: no right to, or no such interface."""

    def __init__(
        self, interface: str, *, network: str = "0.0.0.0/0", namespace: Path | None = None, limit: int = LIMIT
    ) -> None:
        """
        Args:
            network: Only IPv4 packets from or to there are kept; by default, all packets.
            namespace: The network namespace that the interface is in; None: ours.
            limit: Bytes of packets kept.
        """
        self._limit, self._size = limit, 0
        self._packets: deque[tuple[float, int, bytes]] = deque()
        self._lock = threading.Lock()
        self._socket = _packet_socket(interface, namespace, IPv4Network(network))
        # On loopback each packet is seen as it goes and as it comes.
        self._twice = interface == "lo"
        self._thread = threading.Thread(target=self._read, name=f"packets of {interface}", daemon=True)
        self._thread.start()

    def __len__(self) -> int:
        """Packets kept so far."""
        return len(self._packets)

    def save(self, path: Path) -> None:
        """Write what is kept."""
        with self._lock:
            packets = list(self._packets)
        with path.open("wb") as file:
            file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, _SNAP, _ETHERNET))
            for when, size, data in packets:
                file.write(struct.pack("<IIII", int(when), int(when % 1 * 1e6), len(data), size) + data)

    def close(self) -> None:
        """Capture no more; what is kept can still be saved. May be called again."""
        if self._socket.fileno() >= 0:
            self._end = time.monotonic() + _BACKLOG
            self._thread.join()
            self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    _end = math.inf
    "When to stop, at the latest."

    def _read(self) -> None:
        self._socket.settimeout(0.2)
        while time.monotonic() < self._end:
            try:
                data, address = self._socket.recvfrom(65535)
            except TimeoutError:
                if self._end < math.inf:
                    return
                continue
            except OSError:
                return  # the interface went away
            if self._twice and address[2] == _OUTGOING:
                continue
            kept = data[:_SNAP]
            with self._lock:
                self._packets.append((time.time(), len(data), kept))
                self._size += len(kept)
                while self._size > self._limit:
                    self._size -= len(self._packets.popleft()[2])


def _packet_socket(interface: str, namespace: Path | None, network: IPv4Network) -> socket.socket:
    """A raw socket of that interface, all of whose packets it hears."""
    made: list[socket.socket | OSError] = []

    def make() -> None:
        try:
            if namespace is not None:
                enter(namespace)
            sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)  # hears nothing before it is bound
            try:
                if network.prefixlen:
                    _attach_filter(sock, network)
                sock.bind((interface, _ETH_P_ALL))
                number = socket.if_nametoindex(interface)
                request = struct.pack("iHH8s", number, _PACKET_MR_PROMISC, 0, b"")
                sock.setsockopt(_SOL_PACKET, _PACKET_ADD_MEMBERSHIP, request)
            except OSError:
                sock.close()
                raise
            made.append(sock)
        except OSError as error:
            made.append(error)

    # A thread of its own enters the namespace, and ends there: a socket stays where it was made.
    maker = threading.Thread(target=make)
    maker.start()
    maker.join()
    if isinstance(made[0], OSError):
        raise made[0]
    return made[0]


def _attach_filter(sock: socket.socket, network: IPv4Network) -> None:
    """Let the kernel pass over all packets but IPv4 from or to there: others may be many more than we could read."""
    net, mask = int(network.network_address), int(network.netmask)
    program = [
        (0x28, 0, 0, 12),  # load the Ethernet type
        (0x15, 0, 7, 0x0800),  # IPv4, or go to the end
        (0x20, 0, 0, 26),  # load the source address
        (0x54, 0, 0, mask),
        (0x15, 3, 0, net),
        (0x20, 0, 0, 30),  # load the target address
        (0x54, 0, 0, mask),
        (0x15, 0, 1, net),
        (0x06, 0, 0, 0xFFFFFFFF),  # keep it
        (0x06, 0, 0, 0),  # pass it over
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *each) for each in program))
    sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HL", len(program), ctypes.addressof(code)))


def enter(namespace: Path) -> None:
    """Move the calling thread into a network namespace. Raises OSError."""
    handle = os.open(namespace, os.O_RDONLY)
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(handle, _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"cannot enter {namespace}")
    finally:
        os.close(handle)


def main(arguments: Sequence[str] | None = None) -> int:
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("interface")
    parser.add_argument("--into", type=Path, required=True, metavar="FILE", help="written when told to end (SIGTERM)")
    given = parser.parse_args(arguments)
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    signal.signal(signal.SIGINT, lambda *_: ended.set())
    with Capture(given.interface) as capture:
        print(f"capturing {given.interface}", flush=True)
        ended.wait()
        capture.save(given.into)
    return 0


if __name__ == "__main__":
    sys.exit(main())
