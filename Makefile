PYTHON ?= python3
BIN := .venv/bin
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup dev test coverage check lint types fmt lock bench chaos torture fuzz shots clean

help:  ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST)

# Tests, measurements and checks start hundreds of processes: Python compiles what they import once, not in each.
test check lint types bench chaos torture fuzz: export PYTHONDONTWRITEBYTECODE :=

setup:  ## install into .venv what is locked; done by the others too
	@$(PYTHON) scripts/setup.py

dev: setup  ## run everything here: API, worker, PostgreSQL, Temporal and its UI
	@exec $(BIN)/python -m dev --tied

test: setup  ## run every test, against real servers; ARGS="-k name" selects
	@$(BIN)/pytest --numprocesses auto --maxprocesses 5 --no-loadscope-reorder $(ARGS)

coverage: setup  ## run every test, and report which lines they ran; ARGS as for test
	@$(MAKE) --no-print-directory test ARGS="--cov --cov-report=term:skip-covered $(ARGS)"

check: lint types  ## format, lint, types, import rules, sizes, commit subjects

lint: setup  ## what of check takes seconds: all but types
	@$(BIN)/ruff format --check --quiet
	@$(BIN)/ruff check --quiet
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/python scripts/check_sizes.py

types: setup  ## what of check takes a minute or two when nothing is known yet
	@$(BIN)/mypy --no-error-summary

fmt: setup  ## format, and fix what can be fixed
	@$(BIN)/ruff format --quiet
	@$(BIN)/ruff check --fix

lock: setup  ## write the lock files anew; ARGS=--upgrade takes the newest
	@$(BIN)/python -m scripts.lock $(ARGS)

bench: setup  ## measure it beside other gateways; ARGS="--against COMMIT": beside that commit
	@$(BIN)/python -m bench $(ARGS)

chaos: setup  ## kill parts of it under load, then prove the money; ARGS="--seed 7"
	@$(BIN)/python -m bench.chaos $(ARGS)

torture: setup  ## kill parts of it under media jobs at every vendor; ARGS="--seed 7 --jobs 1000 --kills 200"
	@$(BIN)/python -m bench.torture $(ARGS)

fuzz: setup  ## call every operation with requests by chance; ARGS="--cases 20000"
	@exec $(BIN)/python -m tests.support.fuzz $(ARGS)

shots: setup  ## take the pictures of the pages that the README shows
	@$(BIN)/python -m tests.browser.shots

clean:  ## remove what can be made again; the data in .yout stays
	@rm -rf .venv build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
