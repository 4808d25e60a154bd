# All commands of the project. They require only make and Python 3.11 or newer. The environment in
# .venv is rebuilt from pyproject.toml and requirements.lock when it is missing or older than these
# files. Use VENV for a second environment: make test VENV=.venv-3.13 PYTHON=python3.13.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# User variables are plain text. make does not expand their values, and recipes read them from the
# environment as "$$RUNS", so that the shell neither splits nor executes them.
USER_VARIABLES := PYTHON PROFILE SET SHARE COUNT ADDRESS RUNS FIGURES FACTORLAB_RUNS
$(foreach variable,$(USER_VARIABLES),$(eval override $(variable) := $$(value $(variable))))
export $(USER_VARIABLES)

ifndef PYTHON
override PYTHON := $(firstword $(foreach version,13 12 11,$(shell command -v python3.$(version) >/dev/null 2>&1 && python3.$(version) --version >/dev/null 2>&1 && echo python3.$(version))) python3)
endif
ifndef PROFILE
override PROFILE := laptop
endif
ifndef SHARE
override SHARE := 1
endif
ifndef COUNT
override COUNT := 100
endif
ifndef RUNS
override RUNS := $(or $(FACTORLAB_RUNS),runs)
endif
ifndef FIGURES
override FIGURES := figures
endif
override FACTORLAB_RUNS := $(RUNS)

BENCHMARKS := training_step packs growth memory sampling time_to_accuracy representations scheduling \
	threshold_search processors
VENV    := .venv
READY   := $(VENV)/.ready
BIN     := $(VENV)/bin
TESTS   :=
# What PyTorch, oneDNN or numba compute; the instructions of NumPy have no such switch.
NUMERICAL := $(addprefix tests/,factorlab percolation analysis/measures \
	analysis/test_training_dynamics.py benchmarks)
EXPERIMENTS := $(basename $(notdir $(wildcard sweeps/experiments/*.yaml)))

options = --profile="$$PROFILE" --runs="$$RUNS" --figures="$$FIGURES" $${ADDRESS:+--address="$$ADDRESS"}
sweep = $(BIN)/factorlab sweep $(1) $(options) $${SET:+--set="$$SET"}

$(READY): pyproject.toml requirements.lock
	@"$$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "factorlab requires Python 3.11 or newer; choose one with: make PYTHON=/path/to/python3.12" >&2; exit 2; }
	@test -e $(VENV)/pyvenv.cfg || test -z "$$(ls -A $(VENV) 2>/dev/null)" \
	  || { echo "VENV=$(VENV) is a non-empty folder and not a virtual environment; choose another folder" >&2; exit 2; }
	"$$PYTHON" -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip sync --quiet --compile-bytecode --python $(BIN)/python requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

.PHONY: help
help:  ## list all targets
	@awk -F ':.*## ' '/^[a-z%-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@printf '  experiments: %s\n' "$(EXPERIMENTS)"

.PHONY: install
install: $(READY)  ## build .venv if it is missing or older than the lock file: VENV=, PYTHON=

.PHONY: sweep-all
sweep-all: $(READY)  ## run all experiments: PROFILE=, SET=, ADDRESS=
	$(call sweep,$(EXPERIMENTS))

sweep-%: export EXPERIMENT = $*
sweep-%: $(READY)  ## run one experiment: PROFILE=, SET="key=value ...", ADDRESS= of a Ray cluster
	$(call sweep,"$$EXPERIMENT")

.PHONY: reproduce
reproduce: $(READY)  ## run all experiments and compare the results with the papers' findings: PROFILE=
	$(if $(SET),$(error reproduce takes no SET: the findings apply to unmodified profiles))
	$(BIN)/factorlab reproduce $(options)

.PHONY: figures
figures: $(READY)  ## draw the figures of every experiment that was planned in RUNS
	@[ -d "$$RUNS" ] || { echo "make: RUNS: folder $$RUNS does not exist" >&2; exit 2; }; \
	worst=0; for name in $(EXPERIMENTS); do \
	  if ls -- "$$RUNS/sweeps/$${name}_"*/plan.json >/dev/null 2>&1; then \
	    $(BIN)/factorlab figures "$$name" --runs="$$RUNS" --figures="$$FIGURES" || worst=$$?; \
	  fi; \
	done; exit $$worst

.PHONY: ui
ui: $(READY)  ## serve the MLflow UI on http://127.0.0.1:5000
	$(BIN)/factorlab ui --runs="$$RUNS"

.PHONY: test
test: $(READY)  ## run the tests, several files in parallel: TESTS= to select files
	$(BIN)/python -m pytest -n logical --maxprocesses 4 --dist loadfile -m "not slow" $(TESTS)

.PHONY: test-slow
test-slow: $(READY)  ## run the tests of whole sweeps that `make test` leaves out: TESTS= to select files
	$(BIN)/python -m pytest -n logical --maxprocesses 4 --dist loadfile -m slow $(TESTS)

.PHONY: test-cluster
test-cluster: $(READY)  ## run the tests of several Ray nodes, in a network of their own: TESTS= to select
	$(BIN)/python -m tests.cluster.namespace $(BIN)/python -m pytest tests/cluster $(TESTS)

.PHONY: test-portable
test-portable: export ATEN_CPU_CAPABILITY := default
test-portable: export ONEDNN_MAX_CPU_ISA := SSE41
test-portable: export NUMBA_CPU_NAME := generic
test-portable: $(READY)  ## run the numerical tests with the instruction set of an older processor
	$(BIN)/python -m pytest -n logical --maxprocesses 4 --dist loadfile $(NUMERICAL)

.PHONY: check
check: $(READY)  ## lint, check types, spelling and YAML files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/codespell
	$(BIN)/yamllint --strict .

# Warnings about later versions of MkDocs are not about this site.
docs docs-serve: export NO_MKDOCS_2_WARNING := 1
docs docs-serve: export DISABLE_MKDOCS_2_WARNING := true

.PHONY: docs
docs: $(READY)  ## build the documentation into site/; a broken link or anchor is an error
	$(BIN)/python -m mkdocs build --strict --site-dir site

.PHONY: docs-serve
docs-serve: $(READY)  ## serve the documentation on http://127.0.0.1:8000, and rebuild it as files change
	$(BIN)/python -m mkdocs serve --dev-addr 127.0.0.1:8000

.PHONY: coverage
coverage: $(READY)  ## run all tests and report line coverage: TESTS= to select files
	$(BIN)/python -m pytest -n logical --maxprocesses 4 --dist loadfile --cov --cov-report=term:skip-covered $(TESTS)

.PHONY: mutation
mutation: $(READY)  ## change the core in small ways; the tests have to notice: COUNT= mutants
	$(BIN)/python -m tests.mutation --count="$$COUNT"

.PHONY: release-check
release-check: $(READY)  ## build the wheel, install it with the lowest allowed dependencies, run a sweep
	.ci/release-check

.PHONY: chaos
chaos: $(READY)  ## inject faults into running trials and check the results: SHARE=0.1 for a tenth
	$(BIN)/python -m tests.chaos.run --share="$$SHARE"

.PHONY: bench
bench: $(addprefix bench-,$(BENCHMARKS))  ## measure the tables of docs/throughput.md; half an hour on two idle cores

bench-%: $(READY)  ## run one benchmark: training_step, packs, ..., or percolation_peers
	$(BIN)/python -m tests.benchmarks.$*

.PHONY: lock
lock: $(READY)  ## update requirements.lock to the newest versions that pyproject.toml allows
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --extra dev \
	  --no-emit-index-url --no-header pyproject.toml --output-file requirements.lock

.PHONY: clean
clean:  ## delete caches; keep records, figures and .venv
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis dist
