"""What agents that look for each other say by multicast DNS (spec agent §5), as bytes."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset
from dns.name import Name
from dns.rrset import RRset

TTL = 120
"Seconds that an answer may be kept."
PRIORITY, WEIGHT = 10, 1
_LOCAL = (b"local", b"")
_ALL_SERVICES = Name((b"_services", b"_dns-sd", b"_udp", *_LOCAL))
_UNICAST = 0x8000
"In a question's class: the answer shall carry the question's id."


def service_name(cluster: str) -> Name:
    """`_serf_<cluster>._tcp.local.` Raises ValueError if that doesn't fit into a name."""
    try:
        return Name((*_labels(f"_serf_{cluster}"), b"_tcp", *_LOCAL))
    except dns.exception.DNSException as error:
        raise ValueError(str(error)) from None


def _labels(text: str) -> list[bytes]:
    return text.encode("utf-8", "surrogateescape").split(b".")


class Announcement:
    """What one agent tells of itself."""

    def __init__(self, cluster: str, *, node: str, host: str, ip: str, port: int) -> None:
        """`host`: the host's name. Raises ValueError if a name is too long for DNS."""
        self._service = service_name(cluster)
        try:
            self._instance = Name((*_labels(node), *self._service.labels))
            self._host = Name((*_labels(host), b""))
            self._pointer = _record(self._service, "PTR", self._instance.to_text())
            self._all = _record(_ALL_SERVICES, "PTR", self._service.to_text())
            target = self._host.to_text()
            self._server = _record(self._instance, "SRV", f"{PRIORITY} {WEIGHT} {port} {target}")
            family = "AAAA" if ipaddress.ip_address(ip).version == 6 else "A"
            self._address = _record(self._host, family, ip)
            self._text = _record(self._instance, "TXT", _quoted(f"Serf '{cluster}' cluster"))
        except dns.exception.DNSException as error:
            raise ValueError(str(error)) from None

    def answer(self, query: bytes) -> bytes | None:
        """The answer to a query, or None if there is none. Takes any bytes."""
        try:
            asked = dns.message.from_wire(query)
        except (dns.exception.DNSException, ValueError):  # whatever strangers send
            return None
        if asked.opcode() != dns.opcode.QUERY or asked.rcode() != dns.rcode.NOERROR:
            return None
        if asked.flags & (dns.flags.QR | dns.flags.TC):
            return None
        reply = dns.message.Message(id=0)
        reply.flags = dns.flags.QR | dns.flags.AA
        for question in asked.question:
            records = self._records(question.name, question.rdtype)
            reply.answer += records
            if records and question.rdclass & _UNICAST:
                reply.id = asked.id
        return reply.to_wire() if reply.answer else None

    def _records(self, name: Name, kind: dns.rdatatype.RdataType) -> list[RRset]:
        """All go into the answer section. ⚠ Capitals matter, unlike elsewhere in DNS."""
        every = kind == dns.rdatatype.ANY
        if name.labels == _ALL_SERVICES.labels:
            return [self._all] if every or kind == dns.rdatatype.PTR else []
        if name.labels == self._service.labels:
            wanted = every or kind == dns.rdatatype.PTR
            return [self._pointer, self._server, self._address, self._text] if wanted else []
        if name.labels == self._instance.labels:
            if every:
                return [self._server, self._address, self._text]
            if kind == dns.rdatatype.SRV:
                return [self._server, self._address]
            return [record for record in (self._address, self._text) if kind == record.rdtype]
        return [self._address] if name.labels == self._host.labels and kind == self._address.rdtype else []


def _record(name: Name, kind: str, data: str) -> RRset:
    return dns.rrset.from_text(name, TTL, "IN", kind, data)


def _quoted(text: str) -> str:
    """A string as a zone file has it."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def question(cluster: str) -> bytes:
    """Asks for all agents of a cluster."""
    query = dns.message.Message()
    query.flags = dns.flags.Flag(0)
    query.question = [RRset(service_name(cluster), dns.rdataclass.IN, dns.rdatatype.PTR)]
    return query.to_wire()


def found_in(reply: bytes, cluster: str) -> list[tuple[str, int]]:
    """IP and port of each agent in an answer; of those whose address, port and text are all there. Takes any bytes."""
    try:
        message = dns.message.from_wire(reply)
    except (dns.exception.DNSException, ValueError):
        return []
    if not message.flags & dns.flags.QR:
        return []
    # Of another class, the same types hold other things.
    records = [record for record in (*message.answer, *message.additional) if record.rdclass == dns.rdataclass.IN]
    return list(_complete(records, service_name(cluster)))


def _complete(records: list[RRset], service: Name) -> Iterator[tuple[str, int]]:
    texts = {record.name for record in records if record.rdtype == dns.rdatatype.TXT}
    for record in records:
        if record.rdtype != dns.rdatatype.SRV or record.name not in texts or not record.name.is_subdomain(service):
            continue
        for server in record:
            for address in records:
                if address.name == server.target and address.rdtype in (dns.rdatatype.A, dns.rdatatype.AAAA):
                    yield from ((each.address, server.port) for each in address)
