# The two commands of the README, `make quickstart` and `make test`, and what they are made of.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
export DAGSTER_HOME ?= $(CURDIR)/.dagster
export LITELLM_LOCAL_MODEL_COST_MAP ?= True

.PHONY: install quickstart test check dev clean

install: $(VENV)/installed

# torch goes first and by itself, so that the build that is chosen here stays when pip resolves the rest. For Linux, PyPI's
# is the CUDA build of several gigabytes; the CPU build comes with
#   PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu make install
$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt torch
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

# Made once: what a person changes there stays.
$(DAGSTER_HOME)/dagster.yaml: | dagster.yaml
	mkdir -p $(DAGSTER_HOME)
	cp dagster.yaml $@

home: $(DAGSTER_HOME)/dagster.yaml
.PHONY: home

quickstart: install home
	$(BIN)/distil-dagster run quickstart --simulated-teacher examples/ticket_routing --simulated-error-rate 0.02

test: install home check
	$(BIN)/pytest --numprocesses=auto --dist=loadfile --no-loadscope-reorder

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

dev: install home
	$(BIN)/dagster dev --workspace workspace.yaml

clean:
	rm -rf $(VENV) .dagster artefacts
