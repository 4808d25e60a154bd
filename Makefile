# Every command of the project. Each needs nothing but make and Python 3.11 or newer:
# the environment in .venv is built from pyproject.toml and requirements.lock when it
# is missing or older than they are. VENV=.venv-3.13 names another one, say of PYTHON=python3.13.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# What the user sets is text: make expands nothing in it, and recipes take it from the
# environment, as "$$RUNS", so that the shell neither splits nor runs it.
USER_VARIABLES := PYTHON PROFILE SET SHARE ADDRESS RUNS FIGURES FACTORLAB_RUNS
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
ifndef RUNS
override RUNS := $(or $(FACTORLAB_RUNS),runs)
endif
ifndef FIGURES
override FIGURES := figures
endif
override FACTORLAB_RUNS := $(RUNS)

BENCHMARKS := training_step packs growth memory sampling time_to_accuracy representations scheduling
VENV    := .venv
READY   := $(VENV)/.ready
BIN     := $(VENV)/bin
TESTS   :=
NUMERICAL := $(addprefix tests/,factorlab percolation analysis benchmarks)
EXPERIMENTS := $(basename $(notdir $(wildcard sweeps/experiments/*.yaml)))

options = --profile="$$PROFILE" --runs="$$RUNS" --figures="$$FIGURES" $${ADDRESS:+--address="$$ADDRESS"}
sweep = $(BIN)/factorlab sweep $(1) $(options) $${SET:+--set="$$SET"}

$(READY): pyproject.toml requirements.lock
	@"$$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "factorlab needs Python 3.11 or newer; name one with: make PYTHON=/path/to/python3.12" >&2; exit 2; }
	@test -e $(VENV)/pyvenv.cfg || test -z "$$(ls -A $(VENV) 2>/dev/null)" \
	  || { echo "VENV=$(VENV) holds files and is no environment; name another folder" >&2; exit 2; }
	"$$PYTHON" -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip sync --quiet --compile-bytecode --python $(BIN)/python requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

.PHONY: help
help:  ## list every target
	@awk -F ':.*## ' '/^[a-z%-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@printf '  experiments: %s\n' "$(EXPERIMENTS)"

.PHONY: install
install: $(READY)  ## build .venv when it is missing or older than the lock: VENV=, PYTHON=

.PHONY: sweep-all
sweep-all: $(READY)  ## run all experiments: PROFILE=, SET=, ADDRESS=
	$(call sweep,$(EXPERIMENTS))

sweep-%: export EXPERIMENT = $*
sweep-%: $(READY)  ## run an experiment: PROFILE=, SET="key=value ...", ADDRESS= of a Ray cluster
	$(call sweep,"$$EXPERIMENT")

.PHONY: reproduce
reproduce: $(READY)  ## run all experiments and set the papers' findings beside what shows: PROFILE=
	$(if $(SET),$(error reproduce takes no SET: findings are of the profiles as they are))
	$(BIN)/factorlab reproduce $(options)

.PHONY: figures
figures: $(READY)  ## draw the figures of every experiment that has records
	@[ -d "$$RUNS" ] || { echo "make: RUNS: there is no folder $$RUNS" >&2; exit 2; }; \
	worst=0; for name in $(EXPERIMENTS); do \
	  if ls -- "$$RUNS/sweeps/$${name}_"*/plan.json >/dev/null 2>&1; then \
	    $(BIN)/factorlab figures "$$name" --runs="$$RUNS" --figures="$$FIGURES" || worst=$$?; \
	  fi; \
	done; exit $$worst

.PHONY: ui
ui: $(READY)  ## serve the MLflow UI on http://127.0.0.1:5000
	$(BIN)/factorlab ui --runs="$$RUNS"

.PHONY: test
test: $(READY)  ## run the whole test suite, files side by side: TESTS= for some of them
	$(BIN)/python -m pytest -n logical --maxprocesses 4 --dist loadfile $(TESTS)

.PHONY: test-portable
test-portable: export ATEN_CPU_CAPABILITY := default
test-portable: export ONEDNN_MAX_CPU_ISA := SSE41
test-portable: export NUMBA_CPU_NAME := generic
test-portable: $(READY)  ## run the numerical tests with an older processor's instructions
	$(BIN)/python -m pytest -n logical --maxprocesses 4 --dist loadfile $(NUMERICAL)

.PHONY: check
check: $(READY)  ## lint, type-check, spelling, YAML
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/codespell
	$(BIN)/yamllint --strict .

.PHONY: coverage
coverage: $(READY)  ## run the whole suite and report line coverage
	$(BIN)/python -m pytest -n logical --maxprocesses 4 --dist loadfile --cov --cov-report=term:skip-covered $(TESTS)

.PHONY: mutation
mutation: $(READY)  ## change the core in small ways; the tests have to notice: COUNT= mutants
	$(BIN)/python -m tests.mutation --count="$${COUNT:-100}"

.PHONY: release-check
release-check: $(READY)  ## build the wheel, install it with the lowest dependencies, run a sweep
	.ci/release-check

.PHONY: chaos
chaos: $(READY)  ## inject faults into running trials and compare what is left: SHARE= for fewer
	$(BIN)/python -m tests.chaos.run --share="$$SHARE"

.PHONY: bench
bench: $(addprefix bench-,$(BENCHMARKS))  ## measure the tables of docs/throughput.md, half an hour on two idle cores

bench-%: $(READY)  ## measure one: training_step, packs, ..., and percolation_peers
	$(BIN)/python -m tests.benchmarks.$*

.PHONY: lock
lock: $(READY)  ## bring requirements.lock to the newest versions that pyproject.toml allows
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --extra dev \
	  --no-emit-index-url --no-header pyproject.toml --output-file requirements.lock

.PHONY: clean
clean:  ## delete caches; records, figures and .venv stay
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis dist
