"""Hostile RPC requests for an agent that runs and wants a token: `python -m tests.fuzz.agent --n 100000 --seed 1`.

Most come from strangers, who must get nowhere; the rest from clients that showed the token. Afterwards the
agent must answer as before, and have no more descriptors, threads or memory than a little while after its start.

exit status: 0 all is well; 1 something is not, and it says what
"""

from __future__ import annotations

import argparse
import json
import random
import socket
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from serfcompat.errors import AgentUnreachable
from serfcompat.rpc import protocol
from serfcompat.rpc.client import Client
from tests.agents import OURS, AgentProcess
from tests.fuzz.mutate import Mutator
from tests.rpc.exchanges import EXCHANGES

TOKEN = "a-token-of-a-length-to-look-for"
HANDSHAKE = protocol.HandshakeRequest(1).encode_with(1)
AUTH = protocol.AuthRequest(TOKEN).encode_with(2)
REQUESTS = [(name, b"".join(exchange.request)) for name, exchange in EXCHANGES.items() if exchange.request]
LASTING = ("leave", "join", "auth", "handshake")
"Requests that end the agent, or wait for others: not from those who may."
STRANGERS = 0.8
"Share of connections without the token."
MOST_GROWTH = 8e6
"Bytes that the agent may grow by while it is attacked: caches fill, and the allocator keeps what was free."


class Failed(AssertionError):
    """The agent didn't stand it."""


@contextmanager
def guarded_agent(token: str = TOKEN) -> Iterator[AgentProcess]:
    """One that wants a token."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "auth.json")
        config.write_text(json.dumps({"rpc_auth": token}))
        with AgentProcess(OURS, "fuzzed", "-tag=role=target", f"-config-file={config}", "-log-level=err") as agent:
            yield agent


def attack(agent: AgentProcess, count: int, seed: int) -> None:
    """Send so many requests. Raises Failed."""
    dice = random.Random(seed)
    mutator = Mutator(dice)
    all_, harmless = [data for _, data in REQUESTS], [data for name, data in REQUESTS if not name.startswith(LASTING)]
    connect(agent, all_, mutator, dice, 200)  # what is made once is made now
    with Client(agent.rpc, TOKEN) as client, client.monitor("INFO") as log:
        while "agent: Received event: member-join" not in log.get(20):  # its own, a second after its start
            pass
    before = Condition(agent)
    with Client(agent.rpc, TOKEN) as client, client.stream("*") as stream:
        connect(agent, all_, mutator, dice, round(count * STRANGERS), token=False)
        client.user_event("after-the-strangers")
        if str(event := stream.get(10)) != "user-event: after-the-strangers":
            raise Failed(f"strangers made the agent tell of {event}")
        if (tags := client.members()[0].tags) != {"role": "target"}:
            raise Failed(f"strangers changed the tags to {tags}")
    connect(agent, harmless, mutator, dice, round(count * (1 - STRANGERS)), token=True)
    before.compare(agent)


def connect(
    agent: AgentProcess,
    good: Sequence[bytes],
    mutator: Mutator,
    dice: random.Random,
    count: int,
    *,
    token: bool = False,
) -> None:
    """Some requests on each connection, then its end; what the agent answers is read, and must be an answer."""
    left = count
    host, _, port = agent.rpc.rpartition(":")
    while left > 0:
        some = min(left, dice.randrange(1, 9))
        left -= some
        data = HANDSHAKE + (AUTH if token else b"") + b"".join(mutator.input(good) for _ in range(some))
        try:
            answers = exchange(host, int(port), data)
        except ConnectionRefusedError:
            raise Failed(f"the agent is gone\n{agent.output}") from None
        if not token and (b"Members" in answers or b"event_time" in answers or b"NumNodes" in answers):
            raise Failed(f"a stranger was told {answers!r} for {data.hex()}")


def exchange(host: str, port: int, data: bytes) -> bytes:
    """Send all, and read until the agent hangs up."""
    answers = bytearray()
    with socket.create_connection((host, port), 20) as connection:
        try:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            while received := connection.recv(65536):
                answers += received
        except (ConnectionResetError, BrokenPipeError):
            pass  # it hung up with some of ours unread
        except TimeoutError:
            raise Failed(f"the agent neither answered nor hung up: {data.hex()}") from None
    return bytes(answers)


class Condition:
    """What the system says of the agent's process."""

    def __init__(self, agent: AgentProcess) -> None:
        folder = Path("/proc", str(agent.process.pid))
        self.descriptors = len(list((folder / "fd").iterdir()))
        self.threads = len(list((folder / "task").iterdir()))
        self.memory = int((folder / "statm").read_text().split()[1]) * 4096

    def compare(self, agent: AgentProcess) -> None:
        """Raises Failed if the agent is worse off now. Waits until its sessions have ended."""
        deadline = time.monotonic() + 20
        while (now := Condition(agent)).descriptors > self.descriptors and time.monotonic() < deadline:
            time.sleep(0.1)
        if agent.process.poll() is not None or "Traceback" in agent.output or agent.stderr:
            raise Failed(f"the agent failed\n{agent.output}\n{agent.stderr.decode()}")
        if now.descriptors > self.descriptors or now.threads > self.threads:
            raise Failed(f"{now.descriptors} descriptors, {now.threads} threads; {vars(self)} before")
        if now.memory - self.memory > MOST_GROWTH:
            raise Failed(f"grown by {(now.memory - self.memory) / 1e6:.1f} MB")
        if TOKEN in agent.output:
            raise Failed("the token is in the log")
        try:
            with Client(agent.rpc, TOKEN) as client:
                client.stats()
        except AgentUnreachable as error:
            raise Failed(f"the agent doesn't answer: {error}") from None


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.agent", description=__doc__)
    parser.add_argument("--n", type=int, default=100_000, help="how many requests (100000)")
    parser.add_argument("--seed", type=int, default=1, help="which ones (1)")
    options = parser.parse_args(arguments)
    began = time.monotonic()
    try:
        with guarded_agent() as agent:
            attack(agent, options.n, options.seed)
            after = Condition(agent)
    except Failed as failure:
        print(f"fuzz of an agent: FAILED with seed {options.seed}: {failure}")
        return 1
    seconds = time.monotonic() - began
    print(
        f"fuzz of an agent: it stood {options.n} requests in {seconds:.0f} s, and no stranger got past the token; "
        f"seed {options.seed}, {after.memory / 1e6:.1f} MB, {after.descriptors} descriptors"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
