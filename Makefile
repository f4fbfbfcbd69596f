# Everything works from a fresh clone with Python 3.11 and make alone.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help setup models demo test check bench docs clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 16

$(READY): requirements/dev.txt pyproject.toml
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11))" || { echo "Python 3.11 or newer is needed; name it with: make PYTHON=..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

setup: $(READY) ## make .venv with everything, pinned and hash-checked

models: $(READY) ## fetch the bundled encoder (once; sha256-checked)
	$(BIN)/posology models pull minilm

demo: models ## run the main job end to end on the best data at hand
	$(BIN)/posology models pull smollm2
	$(BIN)/posology demo

test: models ## run all tests
	$(BIN)/python -m pytest -n 2 --dist loadfile -q

check: $(READY) ## lint, types, docs in step with the code
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: models ## measure: dose-response, ceiling, false winners, speed (needs POSOLOGY_DATA)
	$(BIN)/python benchmarks/run_all.py

docs: $(READY) ## write docs/cli.md from the command line's own help
	$(BIN)/python docs/make_cli_reference.py

clean: ## remove what the targets made
	rm -rf $(VENV) .pytest_cache .ruff_cache .mypy_cache .hypothesis run
