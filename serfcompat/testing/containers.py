"""Nodes as containers on a private network of the run, by testcontainers and the docker SDK.

No registry is asked for anything: images are made here (`serfcompat.testing.images`), and testcontainers' reaper
stays off. Instead everything carries the label `serfcompat.run`, and what a killed runner left behind is removed
by the next one, and by `python -m serfcompat.testing.clean`.
"""

from __future__ import annotations

import io
import itertools
import os
import socket
import tarfile
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from serfcompat.testing.backends import Backend
from serfcompat.testing.capture import Capture
from serfcompat.testing.faults import RESTORE, rules
from serfcompat.testing.images import Builder, recipes
from serfcompat.testing.node import GOSSIP_PORT, RPC_PORT, AgentError, Node
from serfcompat.testing.programs import NotHere, Program
from serfcompat.testing.runs import Run, Subnet, ended, this_run, wait_until_gone

LABEL = "serfcompat.run"
"Label of everything that is made: the mark of its run."
TOOLS = "serfcompat:3.11"
"The image of the helpers that join a node's network: it has iptables and Python."
CAPTURED = "/captured.pcap"
_AT_ONCE = 8
_numbers = itertools.count(1)
_starting = threading.Lock()
_broken_filter: list[str] = []
"What came of trying the packet filter, once for all clusters of this process."


def why_not() -> str:
    """Why containers can't be used here; empty: they can."""
    try:
        import docker
        import docker.errors
        import testcontainers.core.container  # noqa: F401
    except ImportError as error:
        return f"{error.name} is not installed: pip install 'serfcompat[interop]'"
    if refusal := _refusal(os.environ.get("DOCKER_HOST", "")):
        return f"no container engine answers: {refusal}"
    try:
        client = docker.from_env(timeout=10)
    except docker.errors.DockerException as error:
        return f"no container engine answers: {error}"
    try:
        client.ping()
    except (docker.errors.DockerException, OSError) as error:
        return f"no container engine answers: {error}"
    finally:
        client.close()
    return ""


def _refusal(address: str) -> str:
    """Why nobody can be reached at a UNIX socket. Asked first, because the SDK leaves a socket open when it fails."""
    path = address.removeprefix("unix://") or "/var/run/docker.sock"
    if "://" in path:
        return ""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except OSError as error:
            return f"{path}: {error.strerror or error}"
    return ""


class ContainerNode(Node):
    """An agent in a container."""

    def __init__(self, container: Any, label: str, name: str, host: str, news: threading.Condition, rpc: str) -> None:
        """`container` is testcontainers', and started."""
        super().__init__(label, name, host, news)
        if rpc:
            self.rpc = rpc
        self._started = container
        self.container = container.get_wrapped_container()
        "The docker SDK's."
        self.helper: Any = None
        "Another container in the same network namespace, once there was need of one."
        self._removed = False
        self._reader = threading.Thread(target=self._read, name=f"log of {name}", daemon=True)
        self._reader.start()

    def __repr__(self) -> str:
        return f"<{self.label} agent {self.name!r} at {self.gossip}, container {self.container.short_id}>"

    @property
    def running(self) -> bool:
        return not self._removed and bool(self._state()["Running"])

    def wait_for_exit(self, limit: float = 15.0) -> int:
        self._reader.join(limit)  # its log ends when it does
        deadline = time.monotonic() + limit
        while self._state()["Running"]:
            if time.monotonic() > deadline:
                raise AgentError(f"{self.label} agent {self.name} still runs after {limit:g} s")
            self._reader.join(0.05)
        return int(self._state()["ExitCode"])

    def kill(self) -> None:
        self.container.kill()
        self.wait_for_exit()

    def pause(self) -> None:
        self.container.pause()

    def resume(self) -> None:
        self.container.unpause()

    def stop(self) -> None:
        self._hang_up()
        if not self._removed:
            self._removed = True
            if self.helper is not None:
                self.helper.stop()
            # In order of rising patience: a container may be paused, ended, or gone already.
            self._started.stop()
            self._reader.join(5.0)

    def _state(self) -> Any:
        self.container.reload()
        return self.container.attrs["State"]

    def _read(self) -> None:
        rest = b""
        stream = self.container.logs(stream=True, follow=True)
        try:
            for chunk in stream:
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    self._heard(line)
        except Exception as error:  # the engine hung up; whatever its client makes of that, the log ends here
            self._heard(f"(the log ends here: {error!r})".encode())
        finally:
            if rest:
                self._heard(rest)
            stream.close()
            self._silent()


class Containers(Backend):
    """A bridge network, and a container for each node."""

    name = "containers"

    def __init__(self) -> None:
        super().__init__()
        if why := why_not():
            raise NotHere(why)
        import docker

        self._engine = docker.from_env(timeout=60)
        self._hosts: Iterator[str] = iter(())
        self._ports = itertools.count(20001)
        self._near = False
        "Whether the engine's bridge is on this machine, so that nodes can be reached by their own addresses."
        self._nodes: list[ContainerNode] = []
        self._others: list[Any] = []
        self._capture: Capture | Any | None = None
        self._network: Any = None
        self._subnet: Subnet | None = None
        try:
            clean(engine=self._engine)
            self._builder = Builder(self._engine)
            self._mark = f"{this_run().id}-{next(_numbers)}"
            self._bridge = f"sc{self._mark.replace('-', '')}"[:15]
            self._make_network()
            assert self._subnet is not None
            self._hosts = self._subnet.hosts()
            self._near = _is_here(self._bridge)
            self.cannot_filter = self._probe_filter()
        except BaseException:
            self.close()
            raise

    def free_host(self) -> str:
        return next(self._hosts)

    def launch(self, program: Program, name: str, host: str, flags: Sequence[str]) -> Node:
        own = [f"-node={name}", f"-bind={host}:{GOSSIP_PORT}", f"-rpc-addr={host}:{RPC_PORT}"]
        container = self._start(
            program.image,
            ["agent", *own, *flags],
            name=f"{name}-{host.rpartition('.')[2]}-{next(_numbers)}",
            host=host,
            ports=[] if self._near else [RPC_PORT],
        )
        rpc = "" if self._near else f"{container.get_container_host_ip()}:{container.get_exposed_port(RPC_PORT)}"
        node = ContainerNode(container, str(program), name, host, self.news, rpc)
        self._nodes.append(node)
        return node

    @property
    def own_address(self) -> str:
        """The address of this process in the network. NotHere: it isn't in it."""
        if not self._near:
            raise NotHere("the container engine is on another machine: nodes can't reach this one")
        assert self._subnet is not None
        return self._subnet.gateway

    def run(self, recipe: str, script: str, host: str) -> Any:
        """A container of any other program, started by a shell script; testcontainers' own object."""
        name = f"{recipe.partition(':')[0]}-{next(_numbers)}"
        container = self._start(recipe, ["-c", script], name=name, host=host, entrypoint=["/bin/sh"])
        self._others.append(container)
        return container

    def relay_address(self) -> str:
        if not self._near:
            raise NotHere("the container engine is on another machine: nodes can't reach a relay here")
        assert self._subnet is not None
        return f"{self._subnet.gateway}:{next(self._ports)}"

    def set_faults(self, node: Node, *, blocked: Collection[str], loss: float) -> None:
        assert isinstance(node, ContainerNode)
        if node.helper is None:
            node.helper = self._helper(f"container:{node.container.id}")
        if got := _restore(node.helper, rules(blocked, loss)):
            raise NotHere(f"iptables refused its rules: {got}")

    def start_capture(self) -> str:
        if self._near:
            with suppress(OSError):  # no right to: a container has it
                self._capture = Capture(self._bridge)
                return ""
        helper = self._start(
            TOOLS,
            ["-m", "serfcompat.testing.capture", self._bridge, "--into", CAPTURED],
            name=f"capture-{next(_numbers)}",
            network_mode="host",
            entrypoint=["/usr/bin/python3"],
            cap_add=["NET_RAW", "NET_ADMIN"],
        )
        self._others.append(helper)
        deadline = time.monotonic() + 15
        while b"capturing" not in (log := helper.get_wrapped_container().logs()):
            helper.reload()
            if helper.status == "exited" or time.monotonic() > deadline:
                return f"packets of the bridge can't be had: {log.decode(errors='replace')[-200:]}"
            time.sleep(0.05)
        self._capture = helper
        return ""

    def save_capture(self, path: Path) -> None:
        if isinstance(self._capture, Capture):
            self._capture.save(path)
        elif self._capture is not None:
            container = self._capture.get_wrapped_container()
            container.stop(timeout=10)
            chunks, _ = container.get_archive(CAPTURED)
            with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as tar:
                file = tar.extractfile(tar.getmembers()[0])
                assert file is not None
                path.write_bytes(file.read())

    def close(self) -> None:
        if isinstance(self._capture, Capture):
            self._capture.close()
        if self._nodes:
            with ThreadPoolExecutor(_AT_ONCE) as pool:  # an engine takes up to a second for each
                list(pool.map(ContainerNode.stop, self._nodes))
        while self._others:
            self._others.pop().stop()
        if self._network is not None:
            self._network.remove()
            self._network = None
        if self._subnet is not None:
            self._subnet.close()
        self._engine.close()

    def _make_network(self) -> None:
        import docker.errors
        from docker.types import IPAMConfig, IPAMPool

        for attempt in range(20):
            self._subnet = Subnet()
            pool = IPAMPool(subnet=str(self._subnet), gateway=self._subnet.gateway)
            try:
                self._network = self._engine.networks.create(
                    f"serfcompat-{self._mark}",
                    driver="bridge",
                    labels={LABEL: str(this_run())},
                    ipam=IPAMConfig(pool_configs=[pool]),
                    options={"com.docker.network.bridge.name": self._bridge},
                )
                return
            except docker.errors.APIError as error:
                self._subnet.close()
                if "overlap" not in str(error) or attempt == 19:
                    raise NotHere(f"the container engine makes no network: {error}") from error

    def _start(
        self, recipe: str, command: list[str], *, name: str, host: str = "", ports: Sequence[int] = (), **more: Any
    ) -> Any:
        """A started container, its image made if need be."""
        from docker.types import EndpointConfig
        from testcontainers.core.container import DockerContainer

        known = recipes()
        if recipe not in known:
            raise NotHere(f"no image {recipe}: there are {', '.join(known)}")
        image = self._builder.image(known[recipe])
        container = DockerContainer(image).with_command(command).with_name(f"serfcompat-{self._mark}-{name}")
        if ports:
            container.with_exposed_ports(*ports)
        if host:
            network = self._network.name
            endpoint = EndpointConfig(self._engine.api._version, ipv4_address=host)
            more |= {"network": network, "networking_config": {network: endpoint}}
        container.with_kwargs(labels={LABEL: str(this_run())}, **more)
        with _without_reaper():
            try:
                return container.start()
            except BaseException:
                container.stop()
                raise

    def _helper(self, network_mode: str) -> Any:
        return self._start(
            TOOLS,
            ["infinity"],
            name=f"net-{next(_numbers)}",
            network_mode=network_mode,
            entrypoint=["/usr/bin/sleep"],
            cap_add=["NET_ADMIN"],
        )

    def _probe_filter(self) -> str:
        with _starting:
            if not _broken_filter:
                helper = self._helper("none")
                try:
                    got = _restore(helper, rules(["10.0.0.1"], 0.5))
                finally:
                    helper.stop()
                _broken_filter.append(f"iptables does not work in containers here: {got}" if got else "")
        return _broken_filter[0]


def _is_here(interface: str) -> bool:
    """Whether this machine has a network interface of that name."""
    return Path("/sys/class/net", interface).exists()


def clean(which: Callable[[Run], bool] = ended, engine: Any = None) -> list[str]:
    """Remove the containers and networks of these runs; what was removed."""
    import docker

    client = docker.from_env(timeout=60) if engine is None else engine
    removed: list[str] = []
    try:
        wait_until_gone(lambda: _refused(client, which, removed))
    finally:
        if engine is None:
            client.close()
    return removed


def _refused(client: Any, which: Callable[[Run], bool], removed: list[str]) -> bool:
    """Remove what there is; whether the engine refused a part, which it does while another removes that."""
    import docker.errors

    refused = False
    for what, found in (
        ("container", client.containers.list(all=True, filters={"label": LABEL}, ignore_removed=True)),
        ("network", client.networks.list(filters={"label": LABEL})),
    ):
        for each in found:
            labels = each.labels if what == "container" else each.attrs.get("Labels") or {}
            run = Run.parse(labels.get(LABEL, ""))
            if run is None or not which(run):
                continue
            try:
                each.remove(**({"force": True, "v": True} if what == "container" else {}))
            except docker.errors.NotFound:
                continue
            except docker.errors.APIError:
                refused = True
            else:
                removed.append(f"{what} {each.name}")
    return refused


def _restore(helper: Any, text: str) -> str:
    """Set rules in a helper's network; empty, or what was wrong with all the programs that do so."""
    wrong = []
    for program in RESTORE[1:]:
        done = helper.exec(["/bin/sh", "-c", f'printf "%s" "$1" | {program}', "sh", text])
        if done.exit_code == 0:
            return ""
        wrong.append(done.output.decode(errors="replace").strip()[-200:])
    return "; ".join(wrong)


@contextmanager
def _without_reaper() -> Iterator[None]:
    """Let testcontainers start a container and no reaper, whose image would have to be pulled.

    Others who use testcontainers in this process have theirs as ever.
    """
    from testcontainers.core.config import testcontainers_config

    global _users, _reaper_off
    with _starting_without:
        if _users == 0:
            _reaper_off = testcontainers_config.ryuk_disabled
            testcontainers_config.ryuk_disabled = True
        _users += 1
    try:
        yield
    finally:
        with _starting_without:
            _users -= 1
            if _users == 0:
                testcontainers_config.ryuk_disabled = _reaper_off


_starting_without = threading.Lock()
_users = 0
"Threads that start containers just now."
_reaper_off = False
"Whether the reaper was off before."
