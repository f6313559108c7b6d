# Everything a clone needs: python3 >= 3.11, make and the package index. `make` alone checks everything.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
SMOKE  := .smoke
SHELL  := /bin/bash

.PHONY: all setup demo test again smoke lint types contracts mutants soak bench gpu-check picture tools format lock clean
all: test lint types contracts mutants

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "ygg needs Python 3.11 or newer: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

setup: $(STAMP)

demo: $(STAMP)           ## three simulated machines, mixed tasks, the real loop; half a minute
	$(BIN)/ygg demo

# Without byte code each of the four processes would compile all tests, at each run.
test: export PYTHONDONTWRITEBYTECODE :=
test: $(STAMP)           ## everything but the soak sizes: about six minutes on two cores
	$(BIN)/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder -m "not soak"

again: $(STAMP)          ## the tests that failed last, one after the other
	$(BIN)/python -m pytest -m "not soak" --last-failed --last-failed-no-failures none

smoke:                   ## the essentials with another Python, in a fresh environment: make smoke PYTHON=python3.13
	rm -rf $(SMOKE)
	$(MAKE) --no-print-directory setup VENV=$(SMOKE)
	$(SMOKE)/bin/ygg --version
	$(SMOKE)/bin/ygg demo --json --tasks 100 --latency 20
	$(SMOKE)/bin/python -m pytest -q -n 2 -m "not soak and not hypothesis" tests/core tests/intake
	rm -rf $(SMOKE)

soak: $(STAMP)           ## the fault batteries and all that is left to chance in their full sizes
	$(BIN)/python -m pytest -m "soak or hypothesis" --hypothesis-profile full --timeout 3600

lint: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

types: $(STAMP)
	$(BIN)/mypy

contracts: $(STAMP)
	$(BIN)/lint-imports

mutants: $(STAMP)        ## each planted bug must make its tests fail
	$(BIN)/python -m tests.mutants

bench: $(STAMP)          ## ratios in one run, written into docs/performance.md
	$(BIN)/python -m bench

gpu-check: $(STAMP)      ## the probes against this machine's NVIDIA driver; prints what both say
	$(BIN)/python -m pytest -m gpu -s -v -n 0 tests/probes

picture: $(STAMP)        ## docs/live-view.svg and docs/demo.cast, from a run of the demo
	$(BIN)/python -m bench.picture

tools: $(STAMP)          ## what is no Python package, the tests left out without it, and how to get it
	@$(BIN)/python -m tests.tools

lock:                    ## rewrite requirements.lock (needs uv)
	uv pip compile --universal --python-version 3.11 --generate-hashes --extra dev --no-header --no-annotate -o requirements.lock pyproject.toml

clean:
	rm -rf $(VENV) $(SMOKE) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
