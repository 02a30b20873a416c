# `make demo` and `make test` are all a newcomer needs; `make help` lists the rest.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Compiled at install: where PYTHONDONTWRITEBYTECODE is set, as in images, each start would compile it all again.
UV := $(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python
# -I: no PYTHONPATH or PYTHONHOME of another program reaches `lake`. With a blank in its path, uv begins it as a sh script.
ISOLATE := sed -i.old -E -e '1s/(python[0-9.]*)$$/\1 -IXutf8/' -e "2s/(python[0-9.]*') (.[$$]0)/\1 -IXutf8 \2/" $(BIN)/lake && rm $(BIN)/lake.old
ARGS :=

# Variables that the user's shell has set for other Pythons, shells and installs are left out; indexes, certificates and proxies stay.
unexport $(filter-out PYTHON PYTHONUNBUFFERED PYTHONDONTWRITEBYTECODE,$(filter PYTHON%,$(.VARIABLES)))
unexport VIRTUAL_ENV CONDA_PREFIX BASH_ENV ENV CDPATH GREP_OPTIONS SHELLOPTS BASHOPTS POSIXLY_CORRECT
unexport $(addprefix PIP_,TARGET PREFIX ROOT PYTHON REQUIREMENT CONSTRAINT NO_DEPS DRY_RUN NO_BINARY ONLY_BINARY EDITABLE PRE \
  REQUIRE_HASHES IGNORE_INSTALLED IGNORE_REQUIRES_PYTHON REPORT NO_BUILD_ISOLATION)
unexport $(addprefix UV_,SYSTEM_PYTHON PYTHON PROJECT PROJECT_ENVIRONMENT WORKING_DIRECTORY CONSTRAINT OVERRIDE EXCLUDE \
  BUILD_CONSTRAINT NO_BINARY NO_BINARY_PACKAGE ONLY_BINARY NO_BUILD NO_BUILD_PACKAGE EXCLUDE_NEWER RESOLUTION PRERELEASE \
  REQUIRE_HASHES NO_VERIFY_HASHES NO_EDITABLE BREAK_SYSTEM_PACKAGES TORCH_BACKEND)
export PIP_USER := 0

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev demo test unit lint archive audit bench bench-model soak poison lock clean

help: ## Show what there is to make
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(BIN)/uv: requirements-build.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Error: Python 3.11 or newer is needed; $$($(PYTHON) --version) was found. Set PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "Error: a virtual environment could not be made. On Debian: apt install python3-venv" >&2; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-build.txt
	@touch $@

$(VENV)/.runtime: requirements.txt pyproject.toml | $(BIN)/uv
	@echo "Installing the pinned packages into $(VENV) (about a minute when nothing is cached)…"
	@$(UV) --require-hashes --no-build-isolation -r requirements.txt
	@$(UV) --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.jars: conf/jars.lock $(VENV)/.runtime
	@echo "Fetching the jars that pyspark does not bring (about half a minute when nothing is cached)…"
	@$(BIN)/lake fetch-jars
	@touch $@

$(VENV)/.dev: requirements-dev.txt $(VENV)/.runtime
	@echo "Installing what the tests need…"
	@$(UV) --require-hashes --no-build-isolation -r requirements-dev.txt
	@touch $@

setup: $(VENV)/.jars ## Install packages and jars, each verified against its pinned hash
	@$(ISOLATE)

# Tests start Spark some fifty times, so this minute saves several.
jars/spark.jsa: | $(VENV)/.jars
	@echo "Making an archive of Spark's classes, with which it starts faster (about a minute)…"
	-@$(BIN)/lake make-archive

setup-dev: setup $(VENV)/.dev ## Install what tests and checks need, too

demo: setup ## Start everything and show the dashboard's address; Ctrl-C stops everything
	@exec $(BIN)/lake up houses

test: setup-dev lint jars/spark.jsa ## Run lint, types, and all tests: unit, spark, e2e
	@$(BIN)/pytest $(ARGS)

unit: setup-dev ## Run the tests that need no Java
	@$(BIN)/pytest -m "not spark and not e2e" $(ARGS)

lint: setup-dev ## Run ruff, mypy, and the check of which room imports which
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo --no-cache

archive: setup ## Replace the archive of Spark's classes, with which it starts faster (220 MB); `lake up` makes the first one
	@$(BIN)/lake make-archive

audit: setup-dev ## Inject faults and check that nothing is lost or doubled; ARGS="--domain houses", "--only strikes": a part; "--seed 7" repeats a run
	@$(BIN)/python -m tests.audit $(ARGS)

bench: setup-dev ## Measure speed and size; ARGS="--full": all of it, slowly; "--drain", "--scale", "--dashboard", "--ask", "--domain production": only this part
	@$(BIN)/python -m tests.bench $(ARGS)

bench-model: setup-dev ## Measure how good the price model is, over five seeds of the split
	@$(BIN)/python -m tests.bench --model

soak: setup-dev ## Run the stream for an hour at 200 sales/s: memory, files, read times; ARGS="--minutes 15"
	@$(BIN)/python -m tests.bench.soak $(ARGS)

poison: setup-dev ## Send 5,000 bad messages among 20,000 good ones; ARGS="--seed 7" repeats a run
	@$(BIN)/python -m tests.audit.poison $(ARGS)

lock: $(BIN)/uv ## Pin every dependency again, with hashes
	@for name in requirements requirements-dev requirements-build; do \
	  $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	    $$name.in -o $$name.txt; done

clean: ## Remove the environment, jars and everything written at run time
	rm -rf $(VENV) jars var
