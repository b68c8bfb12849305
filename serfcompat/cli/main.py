"""The `serf` command line: finds the command and hands over (spec agent §1.1.1).

⚠ Nothing is imported before it is known to be needed: help must come at once.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

COMMANDS = {
    "agent": "Runs a Serf agent",
    "event": "Sends a user event through the cluster",
    "force-leave": 'Makes a member of the cluster enter the "left" state',
    "info": "Shows details about a running agent",
    "join": "Tells an agent to join a cluster",
    "keygen": "Makes a new encryption key",
    "keys": "Changes or lists the encryption keys of the cluster",
    "leave": "Leaves the cluster gracefully and stops the agent",
    "members": "Lists the members of the cluster",
    "monitor": "Follows the log and the events of an agent",
    "query": "Asks the cluster and shows the answers",
    "reachability": "Tests whether all members can be reached",
    "rtt": "Estimates the round trip time between two members",
    "tags": "Changes the tags of a running agent",
    "version": "Shows the version",
}
"Name and one line about it, in the order of the usage text."
EXTENSIONS = {
    "conformance": "Tests whether a program is compatible with Serf",
    "consul-members": "Lists the members of a Consul pool, without joining it",
    "install-alias": "Makes a link called serf to this program",
    "simulate": "Simulates a whole cluster on virtual time",
}
"Commands that Serf doesn't have; they come after its own, and not at all if we are called `serf`."


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    arguments = [_utf8(arg) for arg in (sys.argv[1:] if args is None else args)]
    if "-v" in arguments or "--version" in arguments:
        return _run("version", [])
    wants_help, before, name, rest = _split(arguments)
    if name not in COMMANDS and name not in EXTENSIONS:
        # Asked for, it is an answer; else it's a complaint. Both go to stderr.
        _complain(usage(sys.argv[0].rpartition("/")[2]))
        return 0 if wants_help and name is None else 127
    if wants_help:
        _complain(_help(_load(name)) + "\n")
        return 0
    if before:
        _complain(
            "Invalid flags before the subcommand. If these flags are for\n"
            "the subcommand, please put them after the subcommand.\n\n" + _help(_load(name)) + "\n"
        )
        return 1
    return _run(name, rest)


def usage(program: str) -> str:
    """The text that lists all commands. `program`: the name we are called by."""
    width = max(map(len, COMMANDS))

    def listed(commands: dict[str, str]) -> str:
        return "".join(f"    {name:<{width}}    {synopsis}\n" for name, synopsis in commands.items())

    text = f"Usage: serf [--version] [--help] <command> [<args>]\n\nAvailable commands are:\n{listed(COMMANDS)}\n"
    return text if program == "serf" else f"{text}Beside those of Serf:\n{listed(EXTENSIONS)}\n"


def _split(arguments: list[str]) -> tuple[bool, bool, str | None, list[str]]:
    """(help wanted, flags before the command, command, its arguments)"""
    wants_help, before, name, rest = False, False, None, []
    for position, arg in enumerate(arguments):
        if arg == "--":
            break
        if arg in ("-h", "-help", "--help"):
            wants_help = True
        elif name is None and arg.startswith("-"):
            before = True
        elif name is None and arg:
            name, rest = arg, arguments[position + 1 :]
    return wants_help, before, name, rest


def _run(name: str, arguments: list[str]) -> int:
    from serfcompat.cli.context import Context, Failed, die_by, write

    command = _load(name)
    flags, positional = {}, arguments
    if command.FLAGS is not None:
        from serfcompat.cli.flags import FlagError

        try:
            flags, positional = command.FLAGS.parse(arguments)
        except FlagError as error:
            if str(error):
                write(2, f"{error}\n")
            # The agent prints through another hand, which marks the first line.
            write(1, ("==> " if name == "agent" else "") + _help(command) + "\n")
            return 1
    try:
        status: int = command.run(Context(flags, _help(command)), positional)
    except Failed:
        return 1
    except KeyboardInterrupt:
        die_by("SIGINT")
        raise
    return status


def _load(name: str) -> ModuleType:
    from importlib import import_module

    return import_module("serfcompat.cli." + name.replace("-", "_"))


def _help(command: ModuleType) -> str:
    from serfcompat.cli.context import help_of

    return help_of(command)


def _complain(text: str) -> None:
    from serfcompat.cli.context import write

    write(2, text)


def _utf8(arg: str) -> str:
    """An argument's bytes read as UTF-8, whatever the locale; stray ones as surrogate escapes."""
    if arg.isascii():
        return arg
    from os import fsencode

    return fsencode(arg).decode("utf-8", "surrogateescape")
