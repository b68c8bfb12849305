"""Find other agents on this network by multicast DNS, and be found (spec agent §5)."""

from __future__ import annotations

import contextlib
import logging
import struct
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import gevent
from gevent import select, socket

from serfcompat.agent.mdns_records import Announcement, found_in, question
from serfcompat.errors import SerfCompatError, StartError
from serfcompat.wire.address import join_host_port

log = logging.getLogger("serfcompat.agent.mdns")
PORT = 5353
LISTEN = 1.0
"Seconds that answers are waited for."
PERIOD = 60.0
"Seconds between questions."
QUIET = 0.1
"Seconds without a new agent after which those found are joined."
Join = Callable[[Sequence[str]], int]
"""Joins all of these addresses; how many answered. Raises SerfCompatError."""


class Family(NamedTuple):
    """One of the two multicast groups."""

    kind: int
    group: str


IPV4 = Family(socket.AF_INET, "224.0.0.251")
IPV6 = Family(socket.AF_INET6, "ff02::fb")


def listen(announcement: Announcement, interface: str) -> list[gevent.Greenlet]:
    """Answer questions from now on, on both groups or the one there is; gives the greenlets that do.

    Raises StartError if there is none.
    """
    serving = []
    for family in (IPV4, IPV6):
        with contextlib.suppress(OSError):
            serving.append(gevent.spawn(_answer, _joined(family, interface), announcement))
    if not serving:
        raise StartError("No multicast listeners could be started")
    return serving


def _joined(family: Family, interface: str) -> Any:
    """A socket that hears the group. Raises OSError."""
    sock = socket.socket(family.kind, socket.SOCK_DGRAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        index = socket.if_nametoindex(interface) if interface else 0
        if family is IPV4:
            request = struct.pack("=4s4si", socket.inet_aton(family.group), b"\0" * 4, index)
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, request)
            # Bound to the group, it hears nothing else.
            sock.bind((family.group, PORT))
        else:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            request = struct.pack("=16si", socket.inet_pton(socket.AF_INET6, family.group), index)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, request)
            sock.bind((family.group, PORT, 0, index))
    except BaseException:
        sock.close()
        raise
    return sock


def _answer(sock: Any, announcement: Announcement) -> None:
    """Answers go to whoever asked, not to the group."""
    with sock:
        while True:
            try:
                query, asker = sock.recvfrom(65536)
                if (reply := announcement.answer(query)) is not None:
                    sock.sendto(reply, asker)
            except OSError as error:
                log.debug("agent.mdns: Failed to answer: %s", error.strerror or error)


class Discovery:
    """Asks again and again, and joins every agent once."""

    def __init__(self, cluster: str, interface: str, families: Sequence[Family], join: Join) -> None:
        self._cluster = cluster
        self._interface = interface
        self._families = families
        self._join = join
        self._seen: set[str] = set()
        "Addresses joined before, with or without success."

    def run(self) -> None:
        """For ever."""
        while True:
            started = time.monotonic()
            try:
                self.poll()
            except OSError as error:
                log.error("agent.mdns: Failed to poll for new hosts: %s", (error.strerror or str(error)).lower())
            gevent.sleep(max(0.0, PERIOD - (time.monotonic() - started)))

    def poll(self) -> None:
        """Ask once, listen, and join who is new. Raises OSError if neither family could be asked."""
        sockets = self._ask()
        new: list[str] = []
        deadline, joining = time.monotonic() + LISTEN, 0.0
        try:
            while (now := time.monotonic()) < deadline:
                until = min(deadline, joining) if new else deadline
                for sock in select.select(sockets, [], [], max(0.0, until - now))[0]:
                    for ip, port in found_in(sock.recv(65536), self._cluster):
                        address = join_host_port(ip, port)
                        if address not in self._seen:
                            self._seen.add(address)
                            new.append(address)
                            joining = time.monotonic() + QUIET
                if new and time.monotonic() >= joining:
                    self._join_all(new)
                    new = []
        finally:
            for sock in sockets:
                sock.close()
        if new:
            self._join_all(new)

    def _ask(self) -> list[Any]:
        """Sockets to which answers will come."""
        sockets: list[Any] = []
        failure: OSError | None = None
        for family in self._families:
            sock = socket.socket(family.kind, socket.SOCK_DGRAM)
            try:
                self._use_interface(sock, family)
                sock.sendto(question(self._cluster), (family.group, PORT))
            except OSError as error:
                sock.close()
                failure = error
                log.debug("agent.mdns: Failed to ask %s: %s", family.group, error.strerror or error)
            else:
                sockets.append(sock)
        if failure is not None and not sockets:
            raise failure
        return sockets

    def _use_interface(self, sock: Any, family: Family) -> None:
        if not self._interface:
            return
        index = socket.if_nametoindex(self._interface)
        if family is IPV4:
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, struct.pack("=4s4si", b"", b"", index))
        else:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)

    def _join_all(self, addresses: Sequence[str]) -> None:
        try:
            count = self._join(addresses)
        except SerfCompatError as error:
            log.error("agent.mdns: Failed to join: %s", error)
        else:
            log.info("agent.mdns: Joined %d hosts", count)
