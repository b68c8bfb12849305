"""The flags that every command has which talks to an agent (spec agent §1.1.3)."""

from __future__ import annotations

import os

from serfcompat.cli.flags import string

ADDRESS = "127.0.0.1:7373"

RPC_FLAGS = (
    string(
        "rpc-addr",
        os.environ.get("SERF_RPC_ADDR") or ADDRESS,
        f"Address of the agent's RPC port. Without this flag SERF_RPC_ADDR is used, without both {ADDRESS}.",
        value="host:port",
    ),
    string(
        "rpc-auth",
        os.environ.get("SERF_RPC_AUTH", ""),
        "Token of the agent, if it demands one. Without this flag SERF_RPC_AUTH is used.",
        value="token",
    ),
)
