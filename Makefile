# Verbs of the project.  Needs git, make and python3 (3.11 or later, with venv); everything else comes into $(VENV).

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.set-up
PURE_TESTS := tests/model tests/core tests/quant tests/risk
WORKERS ?= 2
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: setup demo test coverage pure lint types bench sim mutate env-example

setup: $(STAMP)

$(STAMP): requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "python3 is %s: 3.11 or later is needed; name one by make PYTHON=..." % sys.version.split()[0])'
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --no-deps --require-hashes -r requirements-dev.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $(STAMP)

demo: setup
	rm -rf out/demo
	$(BIN)/basisbot demo --out out/demo

test: setup coverage
	$(BIN)/python -m pytest -n $(WORKERS)

# the pure packages, by their own tests alone, each for itself: what it must cover, percent
COVERED := bot/model:95 bot/core:95 bot/quant:95 bot/core/decide:97 risk:97
coverage: setup
	$(BIN)/python -m pytest -n $(WORKERS) --cov --cov-report= $(PURE_TESTS)
	@mkdir -p out
	@for each in $(COVERED); do package=$${each%:*}; \
	  echo "branch coverage of $$package: $$($(BIN)/python -m coverage report --include="$$package/*" --format=total) %"; \
	  $(BIN)/python -m coverage report --include="$$package/*" --skip-covered --show-missing --fail-under=$${each#*:} >out/coverage.txt || { cat out/coverage.txt; exit 1; }; \
	done

# imports and the pure packages' tests, for another Python: make pure PYTHON=python3.13 VENV=out/python3.13
pure: setup
	$(BIN)/python -m pytest -n $(WORKERS) tests/architecture/test_imports.py tests/architecture/test_locks.py $(PURE_TESTS)

lint: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports --no-logo

types: setup
	$(BIN)/mypy

# every pair of faults over real sockets, which the suite plays in virtual time; ten thousand seeds of the explorer
# and of the budgets
sim: setup
	$(BIN)/python -m pytest -n $(WORKERS) tests/rehearsal/sim_pairs.py tests/simulation/sim_budgets.py
	$(BIN)/python -m tests.simulation.explorer --count 10000 --processes $(WORKERS)

# each mend of the table of ways out taken back, and operators of what decides changed: a test must notice
mutate: setup
	$(BIN)/python -m tests.mutants

bench: setup
	$(BIN)/python bench/run.py

env-example: setup
	$(BIN)/python -c 'from bot.knobs import render_env_example; print(render_env_example(), end="")' >.env.example
