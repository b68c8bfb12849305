"""Addresses of a network interface, in the kernel's order, asked over netlink (Linux)."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator

from serfcompat.wire.address import ip_text

_RTM_NEWADDR, _RTM_GETADDR = 20, 22
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_REQUEST, _DUMP = 0x1, 0x300
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_HEADER = struct.Struct("=IHHII")
_ADDRESS = struct.Struct("=BBBBI")
_ATTRIBUTE = struct.Struct("=HH")


def interface_addresses(name: str) -> list[str]:
    """IP addresses of an interface. Raises OSError: there is none of that name, or the system won't tell."""
    index = socket.if_nametoindex(name)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as netlink:
        body = _ADDRESS.pack(socket.AF_UNSPEC, 0, 0, 0, 0)
        netlink.send(_HEADER.pack(_HEADER.size + len(body), _RTM_GETADDR, _REQUEST | _DUMP, 1, 0) + body)
        found: list[str] = []
        while True:
            for kind, message in _messages(netlink.recv(1 << 16)):
                if kind in (_NLMSG_DONE, _NLMSG_ERROR):
                    return found
                if kind == _RTM_NEWADDR and _ADDRESS.unpack_from(message)[4] == index:
                    found += _address(message)


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    while len(data) >= _HEADER.size:
        length, kind, *_ = _HEADER.unpack_from(data)
        yield kind, data[_HEADER.size : length]
        data = data[(length + 3) & ~3 :]


def _address(message: bytes) -> list[str]:
    """The local address of one entry; on a point-to-point link the other one is the peer's."""
    attributes: dict[int, bytes] = {}
    data = message[_ADDRESS.size :]
    while len(data) >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(data)
        attributes[kind] = data[_ATTRIBUTE.size : length]
        data = data[max((length + 3) & ~3, _ATTRIBUTE.size) :]
    ip = attributes.get(_IFA_LOCAL) or attributes.get(_IFA_ADDRESS)
    return [ip_text(ip)] if ip else []
