# Every target sets up .venv first when it is missing or stale. `make help` lists the targets.
PYTHON ?= python3
BIN    := .venv/bin
STAMP  := .venv/.stamp

# `make test ARGS="-k table"` hands options on to the command behind the target.
ARGS ?=

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup lock run demo test check chaos simulate mutations bench clean

help: ## List the targets
	@echo "Async Toolformer Orchestrator. Needs Python 3.11 or newer, nothing else."
	@sed -n 's/^\([a-z]*\):[^#]*## \(.*\)/  make \1|\2/p' $(firstword $(MAKEFILE_LIST)) | awk -F'|' '{printf "%-14s %s\n", $$1, $$2}'

setup: $(STAMP) ## Make .venv from the locks (PYTHON=python3.12 to choose the Python)

$(STAMP): pyproject.toml locks/bootstrap.txt locks/development.txt .ci/setup
	@.ci/setup $(PYTHON)

lock: $(STAMP) ## Remake locks/ after a change of dependencies (ARGS=--upgrade for the newest)
	@.ci/lock $(ARGS)

# Ctrl-C reaches the orchestrator too, which stops in order. The shell waits for that (`trap :`), and the status 130
# of an orchestrator stopped so is no failure worth a message of make.
run: $(STAMP) ## Start everything: an embedded Kafka, its topics and one of each role
	@trap : INT; $(BIN)/orchestrator dev $(ARGS) || [ $$? -eq 130 ]

demo: $(STAMP) ## Start everything, run one request, show its response and stop
	@exec $(BIN)/orchestrator dev --once $(ARGS)

test: $(STAMP) ## Run the tests, those with a real broker included
	@exec $(BIN)/python -m pytest $(ARGS)

# Each check runs even when one before it failed, so that one call shows everything there is to mend.
check: $(STAMP) ## Lint, types, import rules, locks and YAML
	@failed=""; \
	step() { echo "check: $$*"; "$$@" || failed="$$failed $$(basename "$$1")"; }; \
	step $(BIN)/ruff check .; \
	step $(BIN)/ruff format --check .; \
	step $(BIN)/mypy; \
	step $(BIN)/lint-imports --no-cache --no-logo; \
	step .ci/lock --check; \
	step $(BIN)/yamllint --strict .; \
	if [ -n "$$failed" ]; then echo "check: failed:$$failed"; exit 1; fi; echo "check: all well"

chaos: $(STAMP) ## Kill processes and the broker for minutes and judge the log (ARGS="--seconds 600 --seed 7")
	@exec $(BIN)/python -m tests.chaos.run --broker-kills $(ARGS)

simulate: $(STAMP) ## Thousands of seeded runs in virtual time (SIMULATION_SEEDS=n, SIMULATION_SEED=x to replay one)
	@exec $(BIN)/python -m tests.simulation.run $(ARGS)

mutations: $(STAMP) ## Put known bugs into a copy of the code, one at a time, and see a test fail for each
	@exec $(BIN)/python -m tests.mutations.run $(ARGS)

bench: $(STAMP) ## Measure the whole pipeline on this machine
	@exec $(BIN)/python -m benchmarks.pipeline $(ARGS)

clean: ## Remove .venv, caches and the embedded broker's data
	rm -rf .venv .orchestrator .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis *.egg-info
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
