"""All calls of PyPI's `asyncserf` and `trio-serf`, which are alike.

Arguments: the module's name, the agent's host and port, another agent's gossip address, the key
in use, another key, a token.
"""

from __future__ import annotations

import importlib
import os
import sys
import warnings
from functools import partial

from transcript import Transcript

warnings.simplefilter("ignore")  # both warn of what they call themselves


async def main(module: str, host: str, port: str, other: str, old_key: str, key: str, token: str) -> None:
    names = importlib.import_module(module)
    connect = partial(names.serf_client, host=host, port=int(port), rpc_auth=token)
    refused = importlib.import_module(f"{module}.exceptions").SerfError
    told = Transcript()
    async with connect() as client:
        told.add("members alone", await client.members())
        told.add("join", await client.join(other))
        told.add("join a list, with replay", await client.join([other], replay=True))
        told.add("members by name", await client.members(name="n2"))
        told.add("members by status and tags", await client.members(status="alive", tags={"role": "l."}))
        told.add("stats", await client.stats())
        told.add("force-leave", await client.force_leave("nobody"))
        # ⚠ Their own `tags` waits for a body that no agent sends.
        told.add("tags", await client._conn.call("tags", {"Tags": {"a": "1"}}, expect_body=False))
        told.add("tags are set", await client.members(tags={"a": "1"}))
        told.add("list-keys", await client.list_keys())
        told.add("install-key", await client.install_key(key))
        told.add("use-key", await client.use_key(key))
        told.add("list-keys of two", await client.list_keys())
        told.add("remove-key", await client.remove_key(old_key))
        for label, call in {
            "event too large": lambda: client.event("x" * 600),
            "join nobody": lambda: client.join(f"{host}:1"),
            "respond to an unknown one": lambda: client.respond(10**9, b""),
        }.items():
            try:
                told.add(label, await call())
            except refused as error:
                told.failed(label, error)
        async with client.query("load", b"x", nodes=["n1"], request_ack=True, timeout=1) as query:
            # ⚠ Go agents may send bursts of nameless records shortly before the end.
            answers = [[each.type, each.payload] async for each in query if getattr(each, "from")]
            told.add("answers", sorted(answers, key=str))
        async with client.query("load", tags={"role": "no"}, timeout=0.2) as query:
            told.add("nobody", [each.type async for each in query if getattr(each, "from")])
        async with client.monitor("info") as monitor:
            async for record in monitor:
                told.add("monitor", sorted(vars(record)))
                break
        async with connect() as sender:
            async with client.stream("user:deploy") as stream:
                told.add("stream", stream.head)
                await client.stats()  # by now Go has it
                told.add("event", await sender.event("deploy", b"v1.2", coalesce=False))
                async for record in stream:
                    told.add("streamed event", record)
                    break
            async with client.stream("query:ask") as stream:
                await client.stats()
                async with sender.query("ask", b"?", timeout=1) as query:
                    async for record in stream:
                        told.add("asked", record)
                        told.add("respond", await record.respond(b"42"))
                        break
                    told.add("responded", sorted([[each.type, each.payload] async for each in query], key=str))
        told.add("leave", await client.leave())
        told.print()
        sys.stdout.flush()
        os._exit(0)  # the agent may or may not have hung up by now, which they tell in different ways


if __name__ == "__main__":
    if sys.argv[1] == "trio_serf":
        import trio

        trio.run(main, *sys.argv[1:])
    else:
        import anyio

        anyio.run(main, *sys.argv[1:])
