# All targets work on a fresh machine: what they need is made first.
SHELL := /bin/bash
.DEFAULT_GOAL := help
export PYTHONDONTWRITEBYTECODE := 1

PYTHON ?= python3
PY := .venv/bin/python
TESTS ?= tests
# Processes that run tests. More than cores: the long ones wait for agents.
JOBS ?= 3
PYTEST = $(PY) -m pytest -n $(JOBS) --dist loadgroup
# A part of the tests says nothing about all statements.
COUNTED = $(if $(filter-out tests,$(TESTS)),,--statements build/statements.json)
BREAK ?=
N ?=
SEED ?= 1

.PHONY: help venv peers demo test test-full check bench science fuzz statements mutants vectors soak detect latency throughput queries clean conformance

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

venv: ## make .venv with the project and all that its tests need (quick when it is there)
	@PYTHON=$(PYTHON) ci/venv

peers: venv ## get the real Go agents that the demo and the interop tests talk to, into .peers
	@$(PY) interop/fetch-peers all

.PHONY: images interop interop-full interop-clean
images: venv ## make the container images for mixed clusters, of Debian packages (quick when they are there)
	@$(PY) -m serfcompat.testing.images $(IMAGES)

interop: venv ## Go agents and ours in one cluster, the short matrix; in containers if an engine answers (ONLY=rotated for a part)
	@$(PY) -m interop.matrix $(if $(ONLY),--only "$(ONLY)")

interop-full: venv ## the whole matrix, about an hour
	@$(PY) -m interop.matrix --full $(if $(ONLY),--only "$(ONLY)")

interop-clean: venv ## remove containers, networks and processes that ended runs left behind (ALL=1: of running ones too)
	@$(PY) -m serfcompat.testing.clean $(if $(ALL),--all)

demo: venv ## two Go agents and two of ours in one cluster; BREAK=wrong-key or BREAK=no-refute must fail
	@$(PY) interop/fetch-peers --quiet || true
	@$(PY) -m interop.demo $(if $(BREAK),--break $(BREAK))

test: venv ## run the tests (without the slow ones); TESTS=tests/wire for a part, JOBS=1 one by one
	@$(PY) interop/fetch-peers --quiet all || true
	@$(PYTEST) -m "not slow" $(COUNTED) $(TESTS)

test-full: venv ## run all tests, the slow ones too
	@$(PY) interop/fetch-peers --quiet all || true
	@$(PYTEST) $(COUNTED) $(TESTS)

check: venv ## lint, format, types and the direction of imports
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy --strict serfcompat
	@.venv/bin/lint-imports

bench: venv ## measure beside Go's figures, and calls/s of the API; writes build/bench.json and build/bench_api.json
	@$(PY) -m benchmarks
	@$(PY) -m benchmarks.api

science: venv ## the protocol on virtual time beside published figures (about ten minutes; PART=load for one part)
	@$(PY) -m benchmarks.science $(PART)

conformance: venv ## the conformance kit on Go's agents and on ours, its mutants, and 200 scripts on both
	@$(PY) interop/fetch-peers --quiet || true
	@$(PY) -m interop.conformance

fuzz: venv ## mutated vectors and random bytes through every decoder, RPC requests at an agent (N=1000000 SEED=1)
	@$(PY) -m tests.fuzz --n $(or $(N),1000000) --seed $(SEED)
	@$(PY) -m tests.fuzz.agent --n $$(( $(or $(N),1000000) / 10 )) --seed $(SEED)

statements: venv ## count the statements of docs/spec that passed tests prove (runs the tests if need be)
	@$(PY) tests/statements.py || { [ $$? -eq 2 ] && { $(MAKE) --no-print-directory test; $(PY) tests/statements.py; }; }

mutants: venv ## break rules of the code, drawn by SEED, and count how many the tests catch (N=12 SEED=1)
	@$(PY) -m tests.mutants --n $(or $(N),12) --seed $(SEED)

vectors: venv ## run the vectors printed by Go; DIR=folder for another set of the same format
	@$(PY) -m pytest -q tests/vectors $(if $(DIR),--vectors-dir $(DIR))

soak: venv ## five minutes of three Go agents and three of ours, with their memory and CPU
	@$(PY) interop/fetch-peers --quiet || true
	@$(PY) -m interop.soak

detect: venv ## how long a death goes unnoticed, in clusters of Go agents, of ours, and mixed (N=10)
	@$(PY) interop/fetch-peers --quiet || true
	@$(PY) -m interop.detect --nodes $(or $(N),10)

latency: venv ## how long events and joins take, in a mixed cluster beside a Go-only one (N=10)
	@$(PY) interop/fetch-peers --quiet || true
	@$(PY) -m interop.latency --nodes $(or $(N),10)

throughput: venv ## how many events a second get through three members without loss, sent by Go and by ours
	@$(PY) interop/fetch-peers --quiet || true
	@$(PY) -m interop.throughput

queries: venv ## how soon a query ends, and who answers it when 20 % of all packets are lost (N=10)
	@$(PY) interop/fetch-peers --quiet || true
	@$(PY) -m interop.queries --nodes $(or $(N),10)
	@$(PY) -m interop.queries --nodes $(or $(N),10) --queries 100 --at-once 10 --loss 0.2 --relay-factor 4

clean: ## delete what was built (not .venv, not .peers)
	@rm -rf build dist *.egg-info .pytest_cache .hypothesis .mypy_cache .ruff_cache .import_linter_cache
	@find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
