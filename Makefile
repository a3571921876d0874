# On a machine with python3 (>= 3.11), venv and make: `make run` and `make test` do all the set-up.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TORCH ?= torch==2.13.0
STAMPS := $(VENV)/stamps
ARGS ?=

.PHONY: run quick test lint docs dist package test-oldest audit clean

run: $(STAMPS)/worldrex            ## the main job on the built-in task, to a report
	@$(BIN)/worldrex run $(ARGS)

quick: $(STAMPS)/worldrex          ## the same path in under a minute
	@$(BIN)/worldrex run --quick $(ARGS)

test: $(STAMPS)/worldrex-test $(addprefix $(STAMPS)/framework-,$(FRAMEWORKS))   ## FRAMEWORKS="torch tensorflow ray" adds what needs those
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile $(ARGS)

lint: $(STAMPS)/worldrex-lint      ## style, types, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports

docs: $(STAMPS)/worldrex-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict  # with --quiet, warnings would not count

dist: $(STAMPS)/worldrex-dist      ## wheel and sdist, checked
	rm -rf dist
	$(BIN)/python -m build --outdir dist . >/dev/null
	$(BIN)/python -m twine check --strict dist/*

package:                           ## the same, installed into a clean environment and run there
	.ci/package

test-oldest:                       ## the oldest versions that pyproject.toml admits, on Python 3.11
	.ci/oldest $(ARGS)

audit: $(STAMPS)/worldrex-audit    ## known vulnerabilities of what is installed; needs the network
	.ci/audit

clean:
	rm -rf $(VENV) .venv-oldest site dist

# A virtual environment holds its own path: in a clone that was moved, it is made anew.
ifneq ($(wildcard $(STAMPS)/home),)
ifneq ($(shell cat $(STAMPS)/home),$(CURDIR))
$(shell rm -rf $(VENV))
endif
endif

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "worldrex needs Python >= 3.11; $(PYTHON) is older. Name another: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@mkdir -p $(STAMPS) && printf '%s' '$(CURDIR)' > $(STAMPS)/home

$(STAMPS)/worldrex: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable .
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/worldrex-%: pyproject.toml | $(STAMPS)/worldrex
	$(BIN)/python -m pip install --quiet --editable '.[$*]'
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/framework-torch: | $(BIN)/python
	$(BIN)/python -m pip install --quiet '$(TORCH)'
	$(BIN)/python -m pip install --quiet --editable '.[stable-baselines3]'
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/framework-ray: | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[ray]'
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/framework-tensorflow: | $(BIN)/python
	$(BIN)/python -m pip install --quiet tensorflow-cpu
	@mkdir -p $(STAMPS) && touch $@
