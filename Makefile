# Everything runs in .venv, which is made on first use from the exact versions in requirements.lock.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
PIP    := $(BIN)/python -m pip --disable-pip-version-check

# Ray starts its workers as new processes; without bytecode on disk each of them compiles everything again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo static check test fuzz lock clean

help: ## Show what there is
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-7s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(STAMP) ## Commit, train, roll out, break and revert a model on this machine
	$(BIN)/python -m examples.flights.demo

static: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check: static ## Lint, types, layers and the quick tests
	$(BIN)/pytest -q -n 2 -m "not ray and not slow" tests/unit tests/contract tests/golden tests/docs

test: static ## The same, and every other test, those on a real Ray included
	$(BIN)/pytest -q -n 2 -m "not ray"
	$(BIN)/pytest -q -m ray tests/contract tests/e2e

fuzz: export MLOPS_FUZZ ?= 1000
fuzz: $(STAMP) ## Random crashes, failures and damage, MLOPS_FUZZ of each kind (1000)
	$(BIN)/pytest -q -n 2 -m fuzz

lock: ## Resolve pyproject.toml anew and write requirements.lock
	@$(PYTHON) -c '$(NEEDS_PYTHON)'
	rm -rf $(VENV)/lock
	$(PYTHON) -m venv $(VENV)/lock
	$(VENV)/lock/bin/python -m pip --disable-pip-version-check install --quiet --editable '.[dev]'
	{ sed -n '/^#/p' requirements.lock; $(VENV)/lock/bin/python -m pip freeze --all --exclude pip --exclude wheel --exclude-editable; } > requirements.lock.new
	mv requirements.lock.new requirements.lock
	rm -rf $(VENV)/lock

clean: ## Remove the environment, caches and build outputs; data and state of projects stay
	rm -rf $(VENV) build dist mlopsctl.egg-info
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find framework controllers examples tests docs -name __pycache__ -type d -prune -exec rm -rf {} +

NEEDS_PYTHON := import sys; sys.version_info >= (3, 11) or sys.exit("mlopsctl needs Python 3.11 or newer, and this is " \
	+ sys.version.split()[0] + ": name another one, e.g. make PYTHON=/usr/bin/python3.11")

$(STAMP): pyproject.toml requirements.lock
	@test -n "$(PYTHON)" || { echo "mlopsctl needs Python 3.11 or newer, and there is no python3 here" >&2; exit 1; }
	@$(PYTHON) -c '$(NEEDS_PYTHON)'
	@echo "Installing into $(VENV) (once; a few minutes on a slow network)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(PIP) install -qq --requirement requirements.lock
	@$(PIP) install -qq --no-deps --editable .
	@$(BIN)/python -m compileall -q framework controllers examples
	@touch $@
