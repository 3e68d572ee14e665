# Needs GNU make and Python 3.11 or newer. Everything else goes into .venv in this folder.
# `make help` says what there is.

SHELL := /bin/sh
.DEFAULT_GOAL := help

VENV := .venv
PYTHON := $(VENV)/bin/python
# Settings in the caller's environment have no part in the demo and the tests; those of the tests themselves have.
UNSET := $(filter-out EARLYSIGN_TEST%,$(filter EARLYSIGN_%,$(.VARIABLES))) PYTHONPATH PYTHONHOME
CLEAN := env $(foreach name,$(UNSET),-u $(name))

# An environment cannot be moved, so the stamp's name depends on where this folder is.
PLACE := $(shell printf '%s' '$(CURDIR)' | cksum | cut -d' ' -f1)
STAMP := $(VENV)/earlysign-installed-$(PLACE)
LOCK := $(wildcard requirements.txt)
ASSETS := $(wildcard server/console/assets/*) server/console/assets.py server/console/hatch_build.py

ONCE ?=
SEED ?=
PORT ?=
CHILDREN ?=
ARGS ?=

.PHONY: help demo test serve lint setup clean

help:
	@echo 'make demo          a server, 20,000 synthetic children, phones without signal: the whole story'
	@echo 'make demo ONCE=1   the same; ends after the counts, and fails if anything was lost or left out'
	@echo '                   more: SEED=7 PORT=8100 CHILDREN=5000'
	@echo 'make test          the fast tests (more for pytest: ARGS="-k linkage")'
	@echo 'make lint          ruff, mypy, import contracts'
	@echo 'make serve         a server on this machine with a database of its own, in earlysign-data/'
	@echo 'make setup         only make .venv and install into it (the others do that by themselves)'
	@echo 'make clean         remove .venv, .demo and caches; earlysign-data/ stays'

demo: $(STAMP)
	@$(CLEAN) $(PYTHON) -m server.cli demo $(if $(ONCE),--once) $(if $(SEED),--seed $(SEED)) \
	  $(if $(PORT),--port $(PORT)) $(if $(CHILDREN),--children $(CHILDREN))

# -rs ends with a line for each reason why tests were skipped, such as PostgreSQL that is not installed.
test: $(STAMP)
	@$(CLEAN) $(PYTHON) -m pytest -q -n auto -rs $(ARGS)

serve: $(STAMP)
	@$(PYTHON) -m server.cli serve

lint: $(STAMP)
	$(PYTHON) -m ruff check .
	$(PYTHON) -m mypy
	$(VENV)/bin/lint-imports

setup: $(STAMP)

# The first Python that is new enough; a version manager's stand-in that only complains does not count.
$(STAMP): pyproject.toml $(LOCK) $(ASSETS)
	@set -eu; \
	right='import sys; sys.exit(sys.version_info < (3, 11))'; \
	if ! $(CLEAN) $(PYTHON) -c "$$right" 2>/dev/null || ! ls $(STAMP) >/dev/null 2>&1; then \
	  found=; \
	  for one in python3.11 python3.12 python3.13 python3 python3.14; do \
	    if $(CLEAN) $$one -c "$$right" >/dev/null 2>&1; then found=$$one; break; fi; \
	  done; \
	  if [ -z "$$found" ]; then \
	    echo 'Earlysign needs Python 3.11 or newer, and there is none on the PATH.' >&2; \
	    echo 'Debian and Ubuntu: apt install python3 python3-venv. Others: https://www.python.org/downloads/' >&2; \
	    exit 1; \
	  fi; \
	  if ! $(CLEAN) $$found -c 'import ensurepip, venv' >/dev/null 2>&1; then \
	    echo "$$found is there, and its module venv is not." >&2; \
	    echo "Debian and Ubuntu: apt install python3-venv" >&2; \
	    exit 1; \
	  fi; \
	  echo "Setting up $(VENV) with $$($(CLEAN) $$found --version). The first time takes a minute or two."; \
	  $(CLEAN) $$found -m venv --clear $(VENV); \
	else \
	  echo 'Bringing $(VENV) up to date.'; \
	fi; \
	pip='$(CLEAN) $(PYTHON) -m pip --disable-pip-version-check --quiet'; \
	if [ -n '$(LOCK)' ]; then \
	  $$pip install --require-hashes -r requirements.txt; \
	  $$pip install --no-deps --no-build-isolation --editable .; \
	else \
	  $$pip install --editable '.[dev]'; \
	fi; \
	rm -f $(VENV)/earlysign-installed-*; touch $(STAMP)

clean:
	rm -rf $(VENV) .demo .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
