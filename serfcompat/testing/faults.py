"""Bad networks by the kernel's packet filter, in the network namespace of each node that suffers."""

from __future__ import annotations

from collections.abc import Collection

RESTORE = ("iptables-restore", "iptables-nft-restore", "iptables-legacy-restore")
"Programs that take rules from stdin; which of them works depends on the kernel."


def rules(blocked: Collection[str], loss: float) -> str:
    """What `iptables-restore` is told: nothing comes in from these addresses, and some datagrams get lost."""
    lines = ["*filter", ":INPUT ACCEPT [0:0]"]
    lines += [f"-A INPUT -s {host} -j DROP" for host in sorted(blocked)]
    if loss > 0:
        lines.append(f"-A INPUT -p udp -m statistic --mode random --probability {loss:.6f} -j DROP")
    return "\n".join([*lines, "COMMIT", ""])
