"""Seeds from DNS, looked up again when they are needed again."""

import logging

import pytest

from serfcompat import Config, MemberStatus, Serf
from serfcompat.runtime.resolve import ResolveError, resolve
from serfcompat.wire.address import ip_text

from .name_server import NameServer
from .programs import free_address

pytestmark = pytest.mark.socket
SERVICE = "_serf._tcp.example.org"


@pytest.fixture
def dns():
    try:
        server = NameServer()
    except PermissionError:
        pytest.skip("port 53 needs root rights")
    with server:
        yield server


def found(text, path):
    targets = resolve(text, default_port=7946, dns_config_path=path, log=logging.getLogger("t"))
    return [(ip_text(target.address.ip), target.address.port) for target in targets]


def test_a_service_is_all_addresses_of_its_targets_the_preferred_first(dns, tmp_path):
    path = dns.resolv_conf(tmp_path)
    dns.records = {
        (SERVICE, "SRV"): ["20 5 1111 c.example.org.", "10 1 2222 b.example.org.", "10 9 3333 a.example.org."],
        ("a.example.org", "A"): ["10.0.0.1", "10.0.0.2"],
        ("a.example.org", "AAAA"): ["2001:db8::1"],
        ("b.example.org", "AAAA"): ["2001:db8::2"],
    }
    *four, v6, last = found(f"srv+{SERVICE}", path)
    assert sorted(four) == [("10.0.0.1", 3333), ("10.0.0.2", 3333)]  # a server shuffles them
    assert (v6, last) == (("2001:db8::1", 3333), ("2001:db8::2", 2222))
    assert ("c.example.org", "A") in dns.asked  # that one of them has no address hurts nobody


def test_what_is_not_there_is_told(dns, tmp_path):
    path = dns.resolv_conf(tmp_path)
    with pytest.raises(ResolveError, match=f"no SRV record of {SERVICE}"):
        found(f"srv+{SERVICE}", path)
    dns.records = {(SERVICE, "SRV"): ["1 1 1 nowhere.example.org."]}
    with pytest.raises(ResolveError, match="no target of the SRV record"):
        found(f"srv+{SERVICE}", path)


def test_names_have_both_families(dns, tmp_path):
    path = dns.resolv_conf(tmp_path)
    dns.records = {("a.example.org", "A"): ["10.0.0.1"], ("a.example.org", "AAAA"): ["2001:db8::1"]}
    assert found("a.example.org:5", path) == [("10.0.0.1", 5), ("2001:db8::1", 5)]


def test_a_lonely_node_looks_its_seeds_up_again_and_finds_them_where_they_are_now(dns, tmp_path):
    """The whole cluster is replaced: at other addresses, under other names. Only DNS knows."""
    service = {"dns_config_path": dns.resolv_conf(tmp_path), "leave_propagate_delay": 0.1}

    def node(name, **config):
        return Serf(Config.local(node_name=name, bind_addr=free_address(), **(service | config)))

    def publish(serf):
        member = serf.local_member()
        dns.records = {
            (SERVICE, "SRV"): [f"1 1 {member.port} seed.example.org."],
            ("seed.example.org", "A"): [member.addr],
        }

    with node("me", rejoin_interval=0.2) as me:
        with node("old") as old:
            publish(old)
            assert me.join([f"srv+{SERVICE}"]) == 1
            me.wait_for(2, timeout=20)
            old.leave()
        with node("new") as new:
            publish(new)
            me.wait_for(2, timeout=20)
            assert {m.name for m in me.members(status=MemberStatus.ALIVE)} == {"me", "new"}


def test_a_restarted_node_remembers_its_seeds(dns, tmp_path):
    path = tmp_path / "snapshot"

    def me():
        return Serf(
            Config.local(
                node_name="me", bind_addr=free_address(), snapshot_path=str(path), rejoin_interval=0.2,
                dns_config_path=dns.resolv_conf(tmp_path),
            )
        )  # fmt: skip

    with Serf(Config.local(node_name="seed", bind_addr=free_address())) as seed:
        dns.records = {("seed.example.org", "A"): [seed.local_member().addr]}
        with me() as first:
            first.join(["seed.example.org"])
        text = path.read_text()
        assert "#seed: seed.example.org\n" in text
        # As if it had been away until the others had other addresses.
        path.write_text("".join(line for line in text.splitlines(True) if not line.startswith("alive: seed")))
        with me() as second:
            second.wait_for(2, timeout=20)
