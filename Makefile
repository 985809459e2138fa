# Two commands: `make lab` opens the workbench, `make test` proves it. Everything else is a part of these.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
LAB_ARGS ?=
PYTEST_ARGS ?=
NOTEBOOK := notebooks/01_first_run.ipynb

export PIP_CONSTRAINT := $(CURDIR)/constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export HF_HUB_DISABLE_TELEMETRY := 1
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: help lab test check unit texts numbers browser demo setup faults parity-axolotl fuzz bench screenshots clean

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | sort

$(BIN)/.installed: pyproject.toml constraints.txt package.json
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet torch==2.13.0
	$(BIN)/python -m pip install --quiet hatchling hatch-jupyter-builder hatch-nodejs-version jupyter-builder editables jupyterlab
	@touch $@

$(BIN)/.node: $(BIN)/.installed yarn.lock package.json
	jlpm install --immutable
	@touch $@

$(BIN)/.built: $(BIN)/.node $(shell find labextension/src labextension/style labextension/schema -type f 2>/dev/null)
	jlpm build
	$(BIN)/python -m pip install --quiet --no-build-isolation -e '.[test]'
	jupyter-builder develop . --overwrite
	@touch $@

setup: $(BIN)/.built  ## environment, front end and package, ready to work on

lab: setup  ## open JupyterLab on the first notebook; LAB_ARGS are passed on
	jupyter lab $(LAB_ARGS) $(NOTEBOOK)

demo: setup  ## the main job without a browser: teach the embedded model, score it on held-out prompts
	workbench demo

check: setup  ## every gate: format, lint, types, layers
	ruff format --check .
	ruff check .
	pyright --pythonpath $(BIN)/python
	lint-imports
	jlpm lint

# One thread for torch each: suites whose threads wait for each other take several times as long.
TEXTS := tests/templates tests/rows
UNIT := -m "not browser and not faults and not parity_axolotl and not bench"

texts: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(UNIT) $(TEXTS) $(PYTEST_ARGS)

numbers: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(UNIT) $(TEXTS:%=--ignore=%) $(PYTEST_ARGS)

unit: texts numbers  ## everything that needs no browser

browser: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "browser and not bench" $(PYTEST_ARGS)

test: check  ## everything that has to pass; three suites side by side, because a browser and a run wait more than they work
	$(MAKE) --jobs=3 texts numbers browser

faults: setup  ## kill processes in every way
	$(BIN)/python -m pytest -m faults $(PYTEST_ARGS)

parity-axolotl: setup .axolotl/.installed  ## compare ids and labels with axolotl, in an environment of its own
	AXOLOTL_PYTHON=$(CURDIR)/.axolotl/bin/python $(BIN)/python -m pytest -m parity_axolotl $(PYTEST_ARGS)

.axolotl/.installed:
	$(PYTHON) -m venv .axolotl
	PIP_CONSTRAINT= .axolotl/bin/python -m pip install --quiet --upgrade pip
	PIP_CONSTRAINT= .axolotl/bin/python -m pip install --quiet torch==2.13.0 axolotl==0.19.0
	@touch $@

fuzz: setup  ## property tests with many more examples
	WORKBENCH_FUZZ=20 $(BIN)/python -m pytest tests/property tests/rows tests/templates -m "not browser" $(PYTEST_ARGS)

bench: setup  ## figures, printed as JSON
	$(BIN)/python -m tests.benchmarks.run

screenshots: setup  ## the pictures of README and docs, from a real JupyterLab
	$(BIN)/python tests/ui/screenshots.py

clean:
	rm -rf $(VENV) node_modules labextension/lib workbench/labextension workbench/static build dist
