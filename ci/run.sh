#!/usr/bin/env bash
# What a forge runs on a clean checkout: checks and tests, with everything they need installed first.
# Written for Debian 12 or Ubuntu 24.04 as root; elsewhere python3, its venv module and make must be there.
set -euo pipefail
cd "$(dirname "$0")/.."

need() { # need COMMAND PACKAGE…: install the packages if the command is missing
    command -v "$1" >/dev/null || missing+=("${@:2}")
}

missing=()
need make make
need python3 python3
need git git
need redis-server redis-server # the broker of the tests with Celery
python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
[ -e /etc/ssl/certs/ca-certificates.crt ] || missing+=(ca-certificates)
if [ ${#missing[@]} -gt 0 ]; then
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -q
    apt-get install -qy --no-install-recommends "${missing[@]}"
fi

export SERFCOMPAT_REQUIRE_PEERS=1 # a Go agent that can't be had is a failure here, not a skip
make venv
make check
make peers
make interop # in containers if an engine answers, in processes elsewhere; says which
tests=${CI_TESTS:-test}
echo "ci: make $tests follows; CI_TESTS=test-full is the choice with the slow tests, CI_TESTS=test the one without"
make "$tests" # last: its summary line closes the log
