"""The conformance kit: proves or refutes that a program is compatible with memberlist and Serf.

It talks to any executable, in any language: in packets and streams to one node (`--memberlist HOST:PORT`), or
as well by the command line and RPC to agents that it starts itself (`--impl COMMAND`). docs/conformance.md tells more.
"""
