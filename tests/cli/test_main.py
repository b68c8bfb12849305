"""The frame around all commands (spec agent §1.1), on the Go command line and ours."""

from __future__ import annotations

import re

import pytest

from serfcompat.cli.main import EXTENSIONS

NOBODY = "127.0.0.99:27399"
COMMANDS = [
    "agent",
    "event",
    "force-leave",
    "info",
    "join",
    "keygen",
    "keys",
    "leave",
    "members",
    "monitor",
    "query",
    "reachability",
    "rtt",
    "tags",
    "version",
]
RPC_COMMANDS = {
    "event": ["x"],
    "force-leave": ["x"],
    "info": [],
    "join": ["x"],
    "keys": ["-list"],
    "leave": [],
    "members": [],
    "monitor": [],
    "query": ["x"],
    "reachability": [],
    "rtt": ["x"],
    "tags": ["-set=a=b"],
}
USAGE = "Usage: serf [--version] [--help] <command> [<args>]\n\nAvailable commands are:\n"


@pytest.mark.statement("A-001", "A-002", "A-008")
@pytest.mark.parametrize("args", [[], ["help"], ["bogus"], ["-version"], ["-foo"], ["--", "members"], ["bogus", "-h"]])
def test_no_command_to_run_is_127_with_the_usage_on_stderr(serf, args):
    ran = serf(*args)
    assert (ran.code, ran.out) == (127, "")
    assert ran.err.startswith(USAGE)


@pytest.mark.statement("A-003", "A-004")
@pytest.mark.parametrize("arg", ["--help", "-h", "-help"])
def test_help_lists_the_fifteen_commands_on_stderr(serf, arg):
    ran = serf(arg)
    assert (ran.code, ran.out) == (0, "")
    assert ran.err.startswith(USAGE)
    assert ran.err.endswith("\n\n")
    lines = ran.err[len(USAGE) : -1].splitlines()
    assert [line[:20] for line in lines[:15]] == [f"    {name:<12}    " for name in COMMANDS]
    if serf.kind.startswith("go"):
        assert not lines[15:]
    else:
        assert lines[15:17] == ["", "Beside those of Serf:"]
        assert [line.split()[0] for line in lines[17:]] == list(EXTENSIONS)


@pytest.mark.statement("A-005")
@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_on_stderr(serf, command):
    ran = serf(command, "-h", env={"SERF_RPC_ADDR": NOBODY})
    assert (ran.code, ran.out) == (0, "")
    first = {
        "event": "Usage: serf event [options] name payload",
        "force-leave": "Usage: serf force-leave [options] name",
        "join": "Usage: serf join [options] address ...",
        "keygen": "Usage: serf keygen",
        "keys": "Usage: serf keys [options]...",
        "leave": "Usage: serf leave",
        "query": "Usage: serf query [options] name payload",
        "rtt": "Usage: serf rtt [options] node1 [node2]",
        "tags": "Usage: serf tags [options] ...",
        "version": "",
    }.get(command, f"Usage: serf {command} [options]")
    assert ran.err.splitlines()[0] == first
    assert ran.err.endswith("\n")
    assert ran.err == ran.err.strip() + "\n"
    assert ("\nOptions:\n" in ran.err) == (command not in ("keygen", "version"))


@pytest.mark.statement("A-006")
def test_h_after_arguments_is_help_but_not_after_two_dashes(serf):
    env = {"SERF_RPC_ADDR": NOBODY}
    assert serf("event", "x", "-h", env=env).code == 0
    ran = serf("event", "--", "-h", env=env)
    assert ran.code == 1
    assert ran.out.startswith("Error connecting to Serf agent: ")


@pytest.mark.statement("A-007", "A-009")
@pytest.mark.parametrize(
    "args", [["version"], ["-v"], ["--version"], ["members", "-v"], ["event", "x", "-v"], ["event", "--", "-v"]]
)
def test_version_is_asked_for_anywhere(serf, args):
    ran = serf(*args, env={"SERF_RPC_ADDR": NOBODY})
    assert (ran.code, ran.err) == (0, "")
    assert re.fullmatch(r".+\nAgent Protocol: 5 \(Understands back to: 2\)\n", ran.out)


@pytest.mark.statement("A-010")
def test_flags_before_the_command_are_refused(serf):
    ran = serf("-rpc-addr=x", "members")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith(
        "Invalid flags before the subcommand. If these flags are for\n"
        "the subcommand, please put them after the subcommand.\n\nUsage: serf members [options]\n"
    )
    assert serf("-rpc-addr=x", "members", "-h").code == 0


@pytest.mark.statement("A-011", "A-012", "A-013", "A-014")
@pytest.mark.parametrize(
    ("args", "complaint"),
    [
        (["members", "-bogus"], "flag provided but not defined: -bogus"),
        (["members", "-bogus=x", "y"], "flag provided but not defined: -bogus"),
        (["members", "-format"], "flag needs an argument: -format"),
        (["query", "-timeout=5", "x"], 'invalid value "5" for flag -timeout: parse error'),
        (["event", "-coalesce=maybe", "x"], 'invalid boolean value "maybe" for -coalesce: parse error'),
        (["query", "-relay-factor=x", "x"], 'invalid value "x" for flag -relay-factor: parse error'),
        (["members", "-=x"], "bad flag syntax: -=x"),
        (["members", "---x"], "bad flag syntax: ---x"),
        (["agent", "-bogus"], "flag provided but not defined: -bogus"),
    ],
)
def test_arguments_that_break_the_grammar(serf, args, complaint):
    ran = serf(*args)
    assert (ran.code, ran.err) == (1, complaint + "\n")
    lead = "==> " if args[0] == "agent" else ""
    assert ran.out.startswith(f"{lead}Usage: serf {args[0]} [options]")


@pytest.mark.statement("A-015")
def test_numbers_have_64_bits(serf):
    ran = serf("query", "-relay-factor=99999999999999999999", "x")
    assert ran.code == 1
    assert ran.err == 'invalid value "99999999999999999999" for flag -relay-factor: value out of range\n'


@pytest.mark.statement("A-021")
@pytest.mark.parametrize("command", RPC_COMMANDS)
def test_nobody_there(serf, command):
    ran = serf(command, f"-rpc-addr={NOBODY}", *RPC_COMMANDS[command])
    assert (ran.code, ran.err) == (1, "")
    assert ran.out == f"Error connecting to Serf agent: dial tcp {NOBODY}: connect: connection refused\n"


@pytest.mark.statement("A-022")
@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("127.0.0.99", "dial tcp: address 127.0.0.99: missing port in address"),
        ("", "dial tcp: missing address"),
        ("::1", "dial tcp: address ::1: too many colons in address"),
        ("127.0.0.1:99999", "dial tcp: address 99999: invalid port"),
    ],
)
def test_addresses_without_a_port_are_refused(serf, address, reason):
    ran = serf("members", f"-rpc-addr={address}")
    assert (ran.code, ran.out) == (1, f"Error connecting to Serf agent: {reason}\n")


@pytest.mark.statement("A-019")
def test_the_address_may_come_from_the_environment(serf):
    other = "127.0.0.98:27398"
    assert NOBODY in serf("members", env={"SERF_RPC_ADDR": NOBODY}).out
    assert other in serf("members", f"-rpc-addr={other}", env={"SERF_RPC_ADDR": NOBODY}).out
    assert "missing address" in serf("members", "-rpc-addr=", env={"SERF_RPC_ADDR": NOBODY}).out


@pytest.mark.statement("A-028", "A-029", "A-034", "A-044")
@pytest.mark.parametrize(
    ("args", "complaint"),
    [
        (["event"], "An event name must be specified."),
        (["event", "a", "b", "c"], "Too many command line arguments. Only a name and payload must be specified."),
        (["force-leave"], "A node name must be specified to force leave."),
        (["force-leave", "a", "b"], "A node name must be specified to force leave."),
        (["join"], "At least one address to join must be specified."),
        (["query"], "A query name must be specified."),
        (["query", "a", "b", "c"], "Too many command line arguments. Only a name and payload must be specified."),
    ],
)
def test_a_wrong_number_of_arguments(serf, args, complaint):
    ran = serf(*args, env={"SERF_RPC_ADDR": NOBODY})
    assert (ran.code, ran.err) == (1, "")
    assert ran.out.startswith(f"{complaint}\n\nUsage: serf {args[0]} [options]")


@pytest.mark.statement("A-046", "A-062", "A-077", "A-023")
@pytest.mark.parametrize(
    ("args", "complaint"),
    [
        (["keys", "-list", "-use=x"], "Only one of -install, -use, -remove, or -list allowed"),
        (["keys", "-install=x", "-remove=x"], "Only one of -install, -use, -remove, or -list allowed"),
        (["members", "-tag", "foo"], "Error: Invalid tag: 'foo'"),
        (["members", "-tag", "=x"], "Error: Invalid tag: '=x'"),
        (["query", "-tag=foo"], "Error: Invalid tag: 'foo'"),
        (["query", "-relay-factor=256", "x"], "Relay factor must be between 0 and 255"),
        (["query", "-relay-factor=-1", "x"], "Relay factor must be between 0 and 255"),
    ],
)
def test_what_is_refused_before_connecting(serf, args, complaint):
    ran = serf(*args, env={"SERF_RPC_ADDR": NOBODY})
    assert (ran.code, ran.err, ran.out) == (1, "", complaint + "\n")


@pytest.mark.statement("A-047", "A-091")
@pytest.mark.parametrize("args", [["keys"], ["keys", "-list=false"], ["tags"]])
def test_nothing_to_do_shows_the_help_on_stdout(serf, args):
    ran = serf(*args, env={"SERF_RPC_ADDR": NOBODY})
    assert (ran.code, ran.err) == (1, "")
    assert ran.out.startswith(f"Usage: serf {args[0]} [options]")


@pytest.mark.statement("A-045")
def test_keygen_makes_32_random_bytes(serf):
    first, second = serf("keygen"), serf("keygen", "-bogus", "x")
    for ran in (first, second):
        assert (ran.code, ran.err) == (0, "")
        assert re.fullmatch(r"[A-Za-z0-9+/]{43}=\n", ran.out)
    assert first.out != second.out
