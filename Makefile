# Everything runs in `.venv`, which these targets make and keep up to date; nothing needs root.
# What is installed already is left alone: a second run does not touch the network.

PYTHON ?= python3
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

# An interpreter that was named is used or refused; otherwise the first good one of these.
ifeq ($(origin PYTHON),file)
INTERPRETERS := $(PYTHON) python3.13 python3.12 python3.11
else
INTERPRETERS := $(PYTHON)
endif

# A stamp holds what it was made from: the place of the tree (scripts in a virtualenv know their own path), the
# interpreter asked for, and a sum of what was to be installed. Where that differs from what is wanted now, the stamp
# is made anew; where the virtualenv itself is another one, half made or broken, all of it is.
USE := $(VENV)/installed
DEVELOP := $(VENV)/installed-dev
GROUND := $(CURDIR) $(PYTHON)
WANTED := $(GROUND) $(shell cat pyproject.toml hatch_build.py | cksum)
FOUND := $(shell test -x $(BIN)/python && cat $(USE) 2>/dev/null)
KEEP := $(findstring $(GROUND) ,$(FOUND))
ifneq ($(FOUND),$(WANTED))
.PHONY: $(USE)
endif
ifneq ($(shell cat $(DEVELOP) 2>/dev/null),$(WANTED))
.PHONY: $(DEVELOP)
endif

# What is imported here is what Linux distributions and home-made interpreters lack: Debian's python3 comes without
# ensurepip until python3-venv is installed.
define MAKE_VENV
python=; \
for each in $(INTERPRETERS); do \
    if $$each -c 'import sys, venv, ensurepip, ssl, sqlite3; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; \
    then python=$$each; break; fi; \
done; \
if [ -z "$$python" ]; then \
    echo "mailverdict needs Python 3.11 or later with venv, ssl and sqlite3 (Debian: python3-venv);" \
        "tried: $(INTERPRETERS); name one: make PYTHON=/path/to/python3.12" >&2; exit 1; \
fi; \
echo "installing into $(VENV) with $$($$python --version)" && $$python -m venv --clear $(VENV)
endef

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help demo test lint check format clean

help:  ## list the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 15

demo: $(USE)  ## see it decide: replies in, decisions with reasons out
	@$(BIN)/mailverdict demo

test: $(DEVELOP)  ## run the tests, e.g. make test ARGS="-k reply"
	@$(BIN)/python -m pytest -n auto $(ARGS)

lint: $(DEVELOP)  ## ruff (rules and format) and mypy, strict
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

check: lint test  ## lint, then test

format: $(DEVELOP)  ## let ruff put the code into shape
	@$(BIN)/ruff check --fix-only .
	@$(BIN)/ruff format .

clean:  ## remove the virtualenv and what tools left behind
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find policy adapters tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(USE):
	@$(if $(KEEP),true,$(MAKE_VENV))
	@$(PIP) install --editable .
	@echo '$(WANTED)' >$@

# Dependency groups need pip 25.1; Python 3.11 brings an older one.
$(DEVELOP): $(USE)
	@echo "installing the tools for development"
	@$(PIP) install 'pip>=25.1'
	@$(PIP) install --editable '.[testing]' --group dev
	@echo '$(WANTED)' >$@
