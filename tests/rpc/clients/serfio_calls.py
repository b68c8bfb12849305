"""All calls of PyPI's `serfio`. Arguments: the agent's host and port, a token."""

from __future__ import annotations

import asyncio
import os
import sys

from serfio import Serf
from serfio.errors import SerfError
from transcript import Transcript


async def main(host: str, port: str, token: str) -> None:
    told = Transcript()
    async with Serf(host, int(port), token) as client:
        told.add("members", await client.members())
        told.add("members by name", await client.members_filtered(name="n."))
        told.add("members by status and tags", await client.members_filtered(status="alive", tags={"role": "no"}))
        told.add("tags", await client.tags({"a": "1"}))
        told.add("tags are set", (await client.members())[0]["Tags"])
        told.add("stats", await client.stats())
        # ⚠ Go agents may send bursts of nameless records shortly before the end.
        told.add("answers", [each async for each in client.query("load", timeout=SECOND) if each["From"]])
        told.add("one answer", await client.query_one("load", b"x", filter_nodes=["n1"], timeout=SECOND))
        told.add(
            "nobody",
            [
                each
                async for each in client.query("load", filter_tags={"role": "no"}, timeout=SECOND // 5)
                if each["From"]
            ],
        )
    async with Serf(host, int(port), token) as client:
        told.add("monitor", "Log" in await anext(client.monitor("INFO")))
    async with Serf(host, int(port), token) as client, Serf(host, int(port), token) as sender:
        records = client.stream("user:deploy,query:ask")
        first = asyncio.create_task(anext(records))
        while not (await sender.event("deploy", b"v1.2"), first.done())[1]:
            await asyncio.sleep(0.05)
        told.add("streamed event", first.result())
    async with Serf(host, int(port), token) as client, Serf(host, int(port), token) as asker:
        records = client.stream("query:ask")
        asked = asyncio.create_task(anext(records))
        while not asked.done():
            question = asyncio.create_task(asker.query_one("ask", b"?", request_ack=False, timeout=SECOND // 2))
            await asyncio.wait([asked, question], return_when=asyncio.FIRST_COMPLETED)
            if not asked.done():
                await question
        told.add("asked", asked.result())
        told.add("respond", await client.respond(asked.result()["ID"], "42"))
        told.add("responded", await question)
        told.add("respond to an unknown one", await client.respond(10**9, b"42"))
    async with Serf(host, int(port), token) as client:
        try:
            await client.event("x" * 600)
        except SerfError as error:
            told.failed("event too large", error)
    told.print()
    sys.stdout.flush()
    os._exit(0)  # closing what a stream or monitor still holds would take it ten seconds each


SECOND = 1_000_000_000
asyncio.run(main(*sys.argv[1:]))
