"""Nodes as processes, each in a network namespace of its own on a bridge of the run. Needs Linux and root.

The bridge lives in a namespace too: a firewall of the machine, such as Docker's, has no say there. One
interface leads from it to this process.

    serfcompat.<mark>.net    the bridge
    serfcompat.<mark>.n1     a node
"""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path

from serfcompat.testing.capture import Capture
from serfcompat.testing.faults import RESTORE, rules
from serfcompat.testing.loopback import Processes
from serfcompat.testing.node import Node
from serfcompat.testing.processes import Kind
from serfcompat.testing.programs import NotHere
from serfcompat.testing.runs import Run, Subnet, ended, this_run, wait_until_gone

FOLDER = Path("/run/netns")
_PREFIX = "serfcompat."
_numbers = itertools.count(1)


def why_not() -> str:
    """Why network namespaces can't be used here; empty: they can."""
    if sys.platform != "linux":
        return "network namespaces are Linux's"
    if os.geteuid() != 0:
        return "network namespaces need root rights"
    if shutil.which("ip") is None:
        return "the program `ip` is missing (Debian: apt-get install iproute2)"
    name = f"{_PREFIX}{this_run()}.probe{next(_numbers)}"
    got = _run("ip", "netns", "add", name)
    if got:
        return f"network namespaces can't be made here: {got}"
    try:
        got = _run("ip", "-n", name, "link", "add", "br0", "type", "bridge")
        got = got or _run("ip", "netns", "exec", name, "true")
        got = got or _run("ip", "-n", name, "link", "add", "dev", "sc0", "type", "veth", "peer", "name", "sc1")
    finally:
        _run("ip", "netns", "delete", name)
    return f"this kernel lacks what a private network needs: {got}" if got else ""


class Namespaces(Processes):
    """One namespace for each address, and one for the bridge between them."""

    name = "namespaces"

    def __init__(self) -> None:
        super().__init__()
        if why := why_not():
            raise NotHere(why)
        clean()
        self._mark = f"{this_run()}.{next(_numbers)}"
        self._subnet = Subnet()
        self._hosts = self._subnet.hosts()
        self._ports = itertools.count(20001)
        self._made: list[str] = []
        try:
            self._net = self._namespace("net")
            self._ip(self._net, "link add br0 type bridge", "link set br0 up")
            # Names of interfaces are short, and shared with the rest of the machine.
            outside = f"sc{this_run().id}{self._mark.rpartition('.')[2]}"[:15]
            self._must("ip", "link", "add", outside, "type", "veth", "peer", "name", "host", "netns", self._net)
            self._ip(self._net, "link set host master br0", "link set host up")
            self._must("ip", "address", "add", f"{self._subnet.gateway}/24", "dev", outside)
            self._must("ip", "link", "set", outside, "up")
        except BaseException:
            self.close()
            raise
        self.cannot_filter = self._probe_filter()

    def free_host(self) -> str:
        host = next(self._hosts)
        name = self._namespace(_node(host))
        port = f"p{host.rpartition('.')[2]}"
        self._ip(self._net, f"link add {port} type veth peer name eth0 netns {name}")
        self._ip(self._net, f"link set {port} master br0", f"link set {port} up")
        self._ip(
            name, f"address add {host}/24 dev eth0", "link set eth0 up", f"route add default via {self._subnet.gateway}"
        )
        return host

    def wrap(self, kind: Kind, host: str) -> Kind:
        return replace(kind, command=("ip", "netns", "exec", self._name(_node(host)), *kind.command))

    def relay_address(self) -> str:
        return f"{self._subnet.gateway}:{next(self._ports)}"

    def set_faults(self, node: Node, *, blocked: Collection[str], loss: float) -> None:
        got = _run("ip", "netns", "exec", self._name(_node(node.host)), RESTORE[0], input=rules(blocked, loss))
        if got:
            raise NotHere(f"iptables refused its rules: {got}")

    def start_capture(self) -> str:
        try:
            self._capture = Capture("br0", namespace=FOLDER / self._net)
        except OSError as error:
            return f"packets of the bridge can't be had: {error}"
        return ""

    def close(self) -> None:
        super().close()
        while self._made:
            _remove(self._made.pop())
        self._subnet.close()

    def _probe_filter(self) -> str:
        if shutil.which(RESTORE[0]) is None:
            return "the program iptables is missing (Debian: apt-get install iptables)"
        got = _run("ip", "netns", "exec", self._net, RESTORE[0], input=rules(["10.0.0.1"], 0.5))
        got = got or _run("ip", "netns", "exec", self._net, RESTORE[0], input=rules([], 0.0))
        return f"iptables does not work in namespaces here: {got}" if got else ""

    def _name(self, node: str) -> str:
        return f"{_PREFIX}{self._mark}.{node}"

    def _namespace(self, node: str) -> str:
        name = self._name(node)
        self._must("ip", "netns", "add", name)
        self._made.append(name)
        self._ip(name, "link set lo up")
        return name

    def _ip(self, namespace: str, *commands: str) -> None:
        got = _run("ip", "-n", namespace, "-batch", "-", input="\n".join(commands) + "\n")
        if got:
            raise NotHere(f"ip {'; '.join(commands)}: {got}")

    def _must(self, *command: str) -> None:
        if got := _run(*command):
            raise NotHere(f"{' '.join(command)}: {got}")


def clean(which: Callable[[Run], bool] = ended) -> list[str]:
    """Remove the namespaces of these runs; what was removed."""
    found = []
    for path in FOLDER.glob(f"{_PREFIX}*"):
        run = Run.parse(path.name.split(".")[1])
        if run is not None and which(run):
            _remove(path.name)
            found.append(path)
    wait_until_gone(lambda: any(path.exists() for path in found))
    return [f"network namespace {path.name}" for path in found if not path.exists()]


def _node(host: str) -> str:
    return f"n{host.rpartition('.')[2]}"


def _remove(name: str) -> None:
    """⚠ The interface that leads out goes with the bridge's namespace, but a moment later."""
    _run("ip", "netns", "delete", name)


def _run(*command: str, input: str | None = None) -> str:
    """Empty, or what was wrong."""
    try:
        done = subprocess.run(
            command,
            input=input,
            stdin=None if input else subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError as error:
        return str(error)
    return "" if done.returncode == 0 else (done.stderr.strip() or f"exit status {done.returncode}")[-300:]
