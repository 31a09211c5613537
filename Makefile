# Holdfast. `make help` lists what there is.

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
SOURCES := orchestrator workers schemas client/holdfast tests

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help env demo test check bench up lock clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "make %-8s %s\n", $$1, $$2}' Makefile

env: $(STAMP) ## everything the project needs, in .venv, from requirements.lock

$(STAMP): requirements.lock pyproject.toml client/pyproject.toml deploy/environment.sh
	@rm -f $@
	@sh deploy/environment.sh $(VENV)
	@touch $@

demo: env ## a whole stack on this machine, an optimisation over an open batch on it, and down again
	@$(BIN)/holdfast demo

test: env ## every test; they bring up what they need
	@$(BIN)/python -m pytest $(ARGS)

check: env ## lint, format, types, import rules, budgets, drawings
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python -m pytest -q tests/unit/test_repository.py
	$(BIN)/python -m orchestrator.domain.draw --check

bench: env ## the benchmark table
	@$(BIN)/python -m tests.bench $(ARGS)

up: env ## the stack on this machine until Ctrl-C
	@$(BIN)/holdfast dev $(ARGS)

lock: env ## write requirements.lock again from pyproject.toml
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-annotate \
	    --no-emit-index-url --no-header --all-extras --no-emit-package holdfast \
	    pyproject.toml -o requirements.lock

clean: ## remove the environment and caches, not the data in .holdfast
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache demo-out
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
