# Holdfast. `make help` lists what there is.

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
OLDER := .venv-older
OLDER_LOCK := tests/pasqal/older/requirements.lock
OLDER_STAMP := $(OLDER)/.installed
LOCK := $(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes \
    --no-annotate --no-emit-index-url --no-header
IMAGE_LOCK := deploy/requirements.lock
IMAGE_EXTRAS := orchestrator worker tracing physics pulser xtb build
# All but emu, whose licence is not for everybody.
EXTRAS := $(IMAGE_EXTRAS) embedded demo bench dev
SOURCES := orchestrator workers schemas client/holdfast tests

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help env demo test check sim chaos nightly bench pictures up lock clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "make %-8s %s\n", $$1, $$2}' Makefile

env: $(STAMP) $(OLDER_STAMP) ## everything the project needs, in .venv and .venv-older, from the locks

$(STAMP): requirements.lock pyproject.toml client/pyproject.toml deploy/environment.sh
	@rm -f $@
	@sh deploy/environment.sh $(VENV) requirements.lock client .
	@touch $@

# A client of PASQAL Cloud that cannot live beside the newest one; tests/pasqal/older runs in it.
$(OLDER_STAMP): $(OLDER_LOCK) deploy/environment.sh | $(STAMP)
	@rm -f $@
	@UV=$(BIN)/uv sh deploy/environment.sh $(OLDER) $(OLDER_LOCK)
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

sim: env ## simulated histories of the whole plane: SEEDS=1000000
	@$(BIN)/python -m tests.sim --seeds $(or $(SEEDS),1000000)

chaos: env ## faults on a real stack: SEED=1 MINUTES=3 JOBS=10000
	@$(BIN)/python -m tests.chaos --seed $(or $(SEED),1) --minutes $(or $(MINUTES),3) --jobs $(or $(JOBS),10000)

nightly: env ## twenty seeds of them, from SEED=1 on
	@$(BIN)/python -m tests.chaos --seed $(or $(SEED),1) --seeds 20 --minutes $(or $(MINUTES),3) --jobs $(or $(JOBS),10000)

bench: env ## the benchmark table
	@$(BIN)/python -m tests.bench $(ARGS)

pictures: env ## the portal's pages as pictures in docs/images, of a stack at work
	@$(BIN)/python -m tests.portal.pictures

up: env ## the stack on this machine until Ctrl-C
	@$(BIN)/holdfast dev $(ARGS)

lock: env ## write requirements.lock again from pyproject.toml, the image's and the older client's
	$(LOCK) $(addprefix --extra ,$(EXTRAS)) --no-emit-package holdfast \
	    pyproject.toml -o requirements.lock
	$(LOCK) $(addprefix --extra ,$(IMAGE_EXTRAS)) --no-emit-package holdfast \
	    --constraint requirements.lock pyproject.toml -o $(IMAGE_LOCK)
	$(LOCK) $(OLDER_LOCK:.lock=.in) -o $(OLDER_LOCK)

clean: ## remove the environments and caches, not the data in .holdfast
	rm -rf $(VENV) $(OLDER) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache demo-out
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
