"""No log and no error of the suite may have a key or token that it used: a pytest plugin that looks at each.

It knows the keys and tokens that stand in the tests, and those that agents are started with. It looks at the
text of every log record of `serfcompat` and of every error that it makes, in the tests' own processes, and at
all that our agents print.
"""

from __future__ import annotations

import base64
import json
import logging
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from serfcompat.errors import SerfCompatError

TESTS = Path(__file__).parent
KEY = re.compile(r'"((?:[A-Za-z0-9+/]{22}==)|(?:[A-Za-z0-9+/]{43}=))"')
TOKEN = re.compile(r"""(?:["']?rpc_auth["']?\s*[:=]\s*|TOKEN\s*=\s*|AuthRequest\()["']([^"']{4,})["']""")
FLAG = re.compile(r"--?(?:encrypt|rpc-auth)=(.+)")
SETTINGS = ("encrypt_key", "rpc_auth")
SHORTEST = 6
"Characters of a token that is worth looking for; a shorter one is found by chance."


class Watch:
    """Knows secrets, and finds them in texts."""

    def __init__(self) -> None:
        self._looks: dict[str, str] = {}
        "How a secret may look, and the secret."
        self._pattern: re.Pattern[str] | None = None
        self.found: list[str] = []
        "What was found in records and errors since it was last looked at."

    def learn(self, secret: str) -> None:
        """Look for this from now on: as it stands, and if it is a key, for its bytes."""
        if len(secret) < SHORTEST or secret in self._looks:
            return
        self._looks[secret] = secret
        try:
            key = base64.b64decode(secret, validate=True)
        except ValueError:
            key = b""
        if len(key) in (16, 24, 32) and len(set(key)) > 1:  # a row of zeros stands in many a packet
            self._looks |= {key.hex(): secret, repr(key)[2:-1]: secret}
        self._pattern = None

    def learn_from(self, source: str) -> None:
        """The keys and tokens that stand in a program."""
        for secret in (*KEY.findall(source), *TOKEN.findall(source)):
            self.learn(secret)

    def learn_from_flags(self, flags: Sequence[str]) -> None:
        """Those of an agent's command line, and of the file it names."""
        for flag in flags:
            if match := FLAG.fullmatch(flag):
                self.learn(match[1])
            if flag.startswith("-config-file="):
                self._learn_from_file(Path(flag.partition("=")[2]))

    def _learn_from_file(self, path: Path) -> None:
        try:
            settings = json.loads(path.read_text())
        except (OSError, ValueError):  # the test is about that
            return
        if isinstance(settings, dict):
            for name in SETTINGS:
                if isinstance(value := settings.get(name), str):
                    self.learn(value)

    def secret_in(self, text: str) -> str | None:
        """A secret that the text has."""
        if self._pattern is None:
            self._pattern = re.compile("|".join(map(re.escape, self._looks)) or r"(?!)")
        match = self._pattern.search(text)
        return None if match is None else self._looks[match[0]]

    def check(self, text: str, where: str) -> None:
        """AssertionError if a secret is in the text."""
        if secret := self.secret_in(text):
            line = next(line for line in text.splitlines() if self.secret_in(line))
            raise AssertionError(f"{where} tells the secret {secret!r}: {line}")

    def note(self, text: str, where: str) -> None:
        """Keep a secret's find for the test that runs to fail by."""
        if secret := self.secret_in(text):
            self.found.append(f"{where} tells the secret {secret!r}: {text}")

    def take(self) -> list[str]:
        found, self.found = self.found, []
        return found


WATCH = Watch()


def pytest_configure(config: pytest.Config) -> None:
    for path in TESTS.rglob("*.py"):
        WATCH.learn_from(path.read_text(encoding="utf-8"))
    _watch_records()
    _watch_errors()


def _watch_records() -> None:
    make = logging.getLogRecordFactory()

    def watched(name: str, *args: Any, **more: Any) -> logging.LogRecord:
        record = make(name, *args, **more)
        if name.startswith("serfcompat"):
            WATCH.note(record.getMessage(), f"a record of {name}")
        return record

    logging.setLogRecordFactory(watched)


def _watch_errors() -> None:
    def watched(self: SerfCompatError, *args: object) -> None:
        super(SerfCompatError, self).__init__(*args)
        WATCH.note(" ".join(map(str, args)), f"an error, {type(self).__name__},")

    SerfCompatError.__init__ = watched  # type: ignore[method-assign]


@pytest.fixture(autouse=True)
def _no_secret_told() -> Iterator[None]:
    yield
    assert WATCH.take() == []
