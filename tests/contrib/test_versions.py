"""The suites of Flask and Django on the other versions that are supported: those of the environment run anyway."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.contrib.hosts import ROOT
from tests.contrib.versions import package

pytestmark = [pytest.mark.socket, pytest.mark.slow]

SUITES = {
    "flask-2.2": (["flask==2.2.*", "werkzeug==2.2.*"], "test_flask.py", "import flask; print(flask.__version__)"),
    "flask-3": (["flask==3.*"], "test_flask.py", "import flask; print(flask.__version__)"),
    "django-4.2": (["django==4.2.*"], "test_django.py", "import django; print(django.__version__)"),
    "django-5": (["django==5.*"], "test_django.py", "import django; print(django.__version__)"),
}


@pytest.mark.parametrize("name", SUITES)
def test_the_suite_passes_on(name):
    requirements, suite, version = SUITES[name]
    env = os.environ | {"PYTHONPATH": str(package(name, *requirements))}
    told = subprocess.run([sys.executable, "-c", version], env=env, capture_output=True, text=True, check=True)
    assert told.stdout.startswith(name.partition("-")[2])
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "default::DeprecationWarning"]
    done = subprocess.run(
        [*command, f"tests/contrib/{suite}"],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:]
