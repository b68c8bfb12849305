"""The watch for secrets finds them wherever the suite could tell them."""

from __future__ import annotations

import logging

import pytest

from serfcompat.errors import SerfCompatError, UsageError, WireError
from tests.agents import OURS, AgentProcess
from tests.leaks import WATCH, Watch

KEY = "QSBrZXkgdGhhdCBsZWFrcw=="
TOKEN = "a-token-that-leaks"


def test_secrets_are_learned_from_programs_flags_and_files(tmp_path):
    (tmp_path / "a.json").write_text('{"rpc_auth": "from-a-file", "encrypt_key": "' + KEY + '"}')
    watch = Watch()
    watch.learn_from('agent("-x", rpc_auth="in-a-call")\nTOKEN = "in-a-name"\nkey = "c2l4dGVlbiBieXRlcyE5OQ=="')
    watch.learn_from_flags(["-node=n1", "-encrypt=from-a-flag", f"-config-file={tmp_path / 'a.json'}"])
    for secret in ("in-a-call", "in-a-name", "c2l4dGVlbiBieXRlcyE5OQ==", "from-a-flag", "from-a-file", KEY):
        assert watch.secret_in(f"before {secret} after") == secret
    assert watch.secret_in("nothing at all") is None


@pytest.mark.parametrize("shown", [KEY, "41206b65792074686174206c65616b73", str(b"A key that leaks"), f"[{KEY}]"])
def test_a_key_is_found_however_it_is_shown(shown):
    with pytest.raises(AssertionError, match=KEY):
        WATCH.check(f"a line\nkey is {shown}, so\n", "a log")


def test_a_record_that_tells_a_secret_fails_the_test():
    logging.getLogger("serfcompat.some.part").error("got %s", KEY)
    (found,) = WATCH.take()
    assert KEY in found


@pytest.mark.parametrize(
    "make", [SerfCompatError, UsageError, WireError, lambda text: WireError("malformed", f"it is {text}")]
)
def test_an_error_that_tells_a_secret_fails_the_test(make):
    error = make(TOKEN)
    assert TOKEN in str(error)
    (found,) = WATCH.take()
    assert TOKEN in found


@pytest.mark.socket
def test_an_agent_that_tells_a_secret_fails_the_test():
    agent = AgentProcess(OURS, "n1", "-tag=k=v")
    with agent.client() as client:
        client.user_event(TOKEN)
        agent.wait_for(TOKEN)
    with pytest.raises(AssertionError, match="the log of n1 tells the secret"):
        agent.__exit__()
