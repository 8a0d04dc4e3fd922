# Two commands do all the set-up: `make demo` and `make test`. They need Python >= 3.11 and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUNS := PYTHONDONTWRITEBYTECODE= $(BIN)
INSTALL := $(shell command -v uv >/dev/null 2>&1 && echo "uv pip install --compile-bytecode --python $(BIN)/python" || echo "$(BIN)/python tools/install.py $(BIN)/python -m pip install --disable-pip-version-check --progress-bar off")

.PHONY: help demo test check fast soak bench docs pictures clean
.DEFAULT_GOAL := help

help:
	@echo "make demo   install, then replay the sample day at ten times real time"
	@echo "make test   install, then lint, types, import layers, limits and the whole test suite"
	@echo "make fast   lint, types and the tests that need no server"
	@echo "make soak   what takes too long for make test: flipped bits, a million simulated histories (SPYCTL_SEEDS),"
	@echo "            a million bent inputs of each kind (SPYCTL_FUZZ)"
	@echo "make bench  how fast it is, as ratios inside one run"
	@echo "make docs   write docs/cli.md and completions/ anew"
	@echo "make pictures  draw what docs/ shows anew"

demo: $(VENV)/spyctl.ok
	@echo "running: spyctl replay --date 2025-12-16 --speed 10 --embedded"
	@echo
	@$(BIN)/spyctl replay --date 2025-12-16 --speed 10 --embedded --data-dir dbn-data && \
	printf '%s\n' \
	  "next     . .venv/bin/activate                               puts spyctl on your PATH" \
	  "         spyctl tail --run last --count 20 --embedded       the first of these events" \
	  "         spyctl live --sim                                  the live side, without an API key"

test: $(VENV)/test.ok check
	@$(RUNS)/python -m pytest -n auto

check: $(VENV)/test.ok
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(RUNS)/python -m tests.checks

fast: check
	@$(RUNS)/python -m pytest -n auto -m "not integration and not soak"

soak: $(VENV)/test.ok
	@$(RUNS)/python -m pytest -n auto -m soak

bench: $(VENV)/test.ok
	@$(RUNS)/python -m tests.benchmarks.bench

pictures: $(VENV)/test.ok
	@$(BIN)/python -m tests.support.pictures
	@$(BIN)/python -m tests.support.week

docs: $(VENV)/test.ok
	@$(BIN)/python -m tests.support.reference

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "spyctl needs Python 3.11 or newer, this is %s" % sys.version.split()[0])'
	@echo "first time: creating $(VENV) ($$($(PYTHON) --version)), installing spyctl"
	@if command -v uv >/dev/null 2>&1; then uv venv --quiet --python $(PYTHON) $(VENV); else $(PYTHON) -m venv $(VENV); fi

$(VENV)/spyctl.ok: pyproject.toml spyctl/market/kernel.c | $(VENV)/bin/python
	@$(INSTALL) --editable .
	@$(RUNS)/python -m compileall -q spyctl
	@touch $@

$(VENV)/test.ok: pyproject.toml spyctl/market/kernel.c | $(VENV)/bin/python
	@$(INSTALL) --editable '.[test]'
	@$(RUNS)/python -m compileall -q spyctl
	@touch $@ $(VENV)/spyctl.ok

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
