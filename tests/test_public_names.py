"""The names that programs may import from `serfcompat`. Removing one is a breaking change."""

import subprocess
import sys

import serfcompat


def test_every_public_name_is_there():
    for name in serfcompat.__all__:
        assert getattr(serfcompat, name) is not None, name


def test_the_lazy_table_and_the_list_agree():
    assert sorted(serfcompat.__all__) == sorted(serfcompat._HOME_OF)


def test_importing_the_package_loads_neither_gevent_nor_crypto():
    code = (
        "import serfcompat, sys; print([m for m in sys.modules if m.split('.')[0] in ('gevent', 'Crypto', 'msgpack')])"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "[]"
