# `make` alone prints this help.
.DEFAULT_GOAL := help
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: help demo test proof calibrate lint types unit bench format schema clean

help: ## What can be made
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1|/' | awk -F'|' '{printf "  make %-9s %s\n", $$1, $$2}'

demo: $(VENV)/.all ## A real A/B test of two models through a real Envoy, in two minutes
	@$(BIN)/meshtrial demo

test: lint types unit ## Everything that CI runs

proof: $(VENV)/.test ## The long form of the tests: many more faults and inputs
	MESHTRIAL_PROOF=1 $(BIN)/python -m pytest --override-ini timeout=3000 tests/calibration tests/laws tests/unit/analysis tests/unit/assign tests/unit/record tests/unit/stats tests/doors tests/e2e

calibrate: $(VENV)/.test ## How often each method errs, over all simulated trials: writes docs/calibration.md, in ten minutes
	@cd tests && OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 ../$(BIN)/python -m calibration.run

lint: $(VENV)/.test ## Style, format, and what may import what
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/lint-imports

types: $(VENV)/.test ## mypy --strict over the package, the tests and the benchmark
	@$(BIN)/mypy

unit: $(VENV)/.test
	@$(BIN)/python -m pytest

bench: $(VENV)/.bench ## The sidecar beside a plain grpc.aio one and bare Envoy; a report beside pandas and Ibis
	@$(BIN)/python bench/decide.py
	@$(BIN)/python bench/run.py
	@$(BIN)/python bench/analysis.py

format: $(VENV)/.test ## Format and sort imports
	@$(BIN)/ruff check --quiet --fix . ; $(BIN)/ruff format --quiet .

schema: $(VENV)/.test ## Write again what is made from code: messages, report schema, settings page, quickstart
	@$(BIN)/python docs/generate.py

clean: ## Remove the virtual environment and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(VENV)/.made:
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo 'meshtrial needs Python 3.11 or newer as python3'; exit 1; }
	@python3 -m venv $(VENV) || { echo 'venv is missing: apt-get install python3-venv'; exit 1; }
	@touch $@

$(VENV)/.all: $(VENV)/.made pyproject.toml constraints.txt
	@echo 'Installing into $(VENV)'
	@$(PIP) -c constraints.txt -e '.[all]'
	@touch $@

$(VENV)/.bench: $(VENV)/.test
	@echo 'Installing into $(VENV)'
	@$(PIP) -c constraints.txt -e '.[bench]'
	@touch $@

$(VENV)/.test: $(VENV)/.made pyproject.toml constraints.txt
	@echo 'Installing into $(VENV)'
	@$(PIP) -c constraints.txt -e '.[test]'
	@touch $@ $(VENV)/.all
