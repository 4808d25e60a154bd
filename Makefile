# Every command of the project. Each needs nothing but make and Python 3.11 or newer:
# the environment in .venv is built from pyproject.toml and requirements.lock when it
# is missing or older than they are.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON  ?= $(firstword $(foreach version,13 12 11,$(shell command -v python3.$(version) >/dev/null 2>&1 && python3.$(version) --version >/dev/null 2>&1 && echo python3.$(version))) python3)
PROFILE ?= laptop
SET     ?=
RUNS    ?= runs
FIGURES ?= figures
READY   := .venv/.ready
BIN     := .venv/bin
EXPERIMENTS := $(basename $(notdir $(wildcard sweeps/experiments/*.yaml)))

export FACTORLAB_RUNS := $(RUNS)

$(READY): pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "factorlab needs Python 3.11 or newer; name one with: make PYTHON=/path/to/python3.12" >&2; exit 2; }
	$(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip sync --quiet --allow-empty-requirements --python $(BIN)/python requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

.PHONY: help
help:  ## list every target
	@awk -F ':.*## ' '/^[a-z%-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@printf '  experiments: %s\n' "$(EXPERIMENTS)"
