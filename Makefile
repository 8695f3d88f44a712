# Everything runs in .venv, from the hashed locks in requirements/. Needs Python >= 3.11 and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOCK := requirements/dev.txt
#: Processes of the tests, each with servers of its own. Many tests wait: more than cores are faster.
WORKERS ?= $(shell $(PYTHON) -c 'import os; print(min(12, 3 * os.cpu_count()))')
PYTEST = $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

# Every process of the tests reads what the first one compiled.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup demo check test test-all mutants chaos soak bench lock

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.done ## Make .venv with the locked dependencies and the project

# uv where it is there, because it is faster; pip gives the same result.
$(VENV)/.done: $(LOCK) pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "needs Python 3.11 or newer: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@if command -v uv >/dev/null 2>&1; then \
	  uv pip install -q --python $(BIN)/python --require-hashes -r $(LOCK) && \
	  uv pip install -q --python $(BIN)/python --no-deps --no-build-isolation -e .; \
	else \
	  $(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r $(LOCK) && \
	  $(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .; \
	fi
	@touch $@

demo: setup ## Ask many times, kill a worker, count the calls (about 15 s)
	@$(BIN)/python -m sandbox demo

check: setup ## Lint, types, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: setup ## Everything that needs no more than Python: minutes
	$(PYTEST) -m "not redis and not servers and not rabbitmq and not browser and not promtool and not bench and not chaos and not long"

# A browser's driver is large, and nothing else needs it.
test-all: setup ## Also what needs a redis-server, a rabbitmq-server, a chromium or a promtool, several servers, chaos, many examples
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/browser.txt
	SUITE_LENGTH=long $(PYTEST) -m "redis or servers or chaos or rabbitmq or browser or promtool or long or hypothesis"
	SUITE_BROKER=rabbitmq $(PYTEST) -m "(acceptance or fault) and not servers and not rabbitmq"
	$(BIN)/python -m tests.mutants

mutants: setup ## Break each guard and name who notices: the model, a test (minutes)
	@$(BIN)/python -m tests.mutants
chaos: setup ## Break things for a while, judge what was answered: SEED=1 SECONDS=20
	@$(BIN)/python -m tests.chaos --seed $(or $(SEED),1) --seconds $(or $(SECONDS),20)
soak: setup ## Kill a process every 3 s for long, count what it cost: SEED=1 MINUTES=60
	@$(BIN)/python -m tests.chaos --seed $(or $(SEED),1) --soak $(or $(MINUTES),60)

bench: setup ## Measure against plain Celery, celery-once and celery-singleton; long queues, memory (minutes)
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/bench.txt
	@$(BIN)/python -m benchmarks

# The browser's lock stands beside that of dev, so what both need is the same version.
lock: setup ## Compile the locks anew from pyproject.toml (needs uv)
	for set in "run --group app" "dev --group dev" "bench --group dev --group bench" \
	    "browser --group browser -c requirements/dev.txt"; do \
	  set -- $$set; name=$$1; shift; \
	  uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes -q --upgrade --no-header \
	    --no-emit-index-url --no-emit-find-links --extra redis --extra celery --extra zstd "$$@" -o requirements/$$name.txt; \
	done
