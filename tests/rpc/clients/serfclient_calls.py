"""All calls of PyPI's `serfclient`. Arguments: the agent's host and port, another agent's gossip address, a token."""

from __future__ import annotations

import sys

from serfclient.client import SerfClient
from serfclient.connection import SerfConnectionError
from transcript import Transcript


def main(host: str, port: str, other: str, token: str) -> None:
    told = Transcript()
    connect = lambda: SerfClient(host, int(port), rpc_auth=token)  # noqa: E731
    client = connect()
    told.add("members alone", client.members())
    told.add("join", client.join(other))
    told.add("join a list", client.join([other]))
    told.add("members", client.members())
    told.add("members by name", client.members(name="n2"))
    told.add("members by status", client.members(status="failed"))
    told.add("members by tags", client.members(tags={"role": "l.", "absent": ""}))
    told.add("stats", client.stats())
    told.add("force-leave", client.force_leave("nobody"))
    listener = connect()
    stream = listener.stream(["user:deploy", "user:empty"])
    told.add("stream", stream.head)
    listener.stats()  # a Go agent answers before it begins to stream; by now it has
    told.add("event", client.event("deploy", "v1.2", coalesce=False))
    told.add("event of bytes", client.event("deploy", b"\xff\x00"))
    told.add("event without payload", client.event("empty"))
    # As a list, whose order is not compared: Go gives coalesced events of several names in no order.
    told.add("streamed", [next(stream.body) for _ in range(3)])
    listener.close()
    told.add("event too large", client.event("x" * 600))
    told.add("a call by its name", client.connection.call("list-keys"))
    told.add("tags", client.connection.call("tags", {"Tags": {"a": "1"}}, expect_body=False))
    told.add("coordinate", client.connection.call("get-coordinate", {"Node": "nobody"}))
    for label, call in {
        "bad expression": lambda: client.members(name="["),
        "after the agent hung up": client.stats,
        "wrong token, then members": lambda: SerfClient(host, int(port), rpc_auth="no", timeout=1).members(),
    }.items():
        try:
            told.add(label, call())
        except (SerfConnectionError, OSError) as error:
            told.failed(label, error)
    told.print()


main(*sys.argv[1:])
