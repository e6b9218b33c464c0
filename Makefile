# make run    from nothing to an evolved detector and its report
# make test   the same set-up with test tools, then lint, types and tests
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
# torch stands in the same command as the project: one resolution, one build of torch
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch

# the tests start hundreds of processes, which are not to compile all modules again
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run test thorough lint style types unit e2e docs bench clean

run: $(VENV)/.installed
	$(BIN)/evolve run --space ga.yaml

# checking types takes one core for a minute, so it is done beside the unit tests
test: style
	$(MAKE) --jobs 2 types unit
	$(MAKE) e2e

# all cases of all tests, for changes that matter and before a release: half an hour and more
thorough:
	$(MAKE) test TESTS=--thorough

lint: style types

style: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed-test
	$(BIN)/mypy

unit: $(VENV)/.installed-test
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist worksteal --durations 20 $(TESTS) tests/unit tests/property tests/golden tests/gpu

e2e: $(VENV)/.installed-test
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --durations 20 $(TESTS) tests/e2e

# pages for a browser in site/, from nothing but this folder; a broken link ends it
docs: $(VENV)/.installed-docs
	$(BIN)/python -m sphinx -W --keep-going -b html -d site/.doctrees docs site

bench: $(VENV)/.installed-test
	$(BIN)/python -m pytest tests/bench --benchmark-only

clean:
	rm -rf $(VENV) build dist site docs/reference *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) -e .
	touch $@

$(VENV)/.installed-test: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) -e '.[test]'
	touch $@

$(VENV)/.installed-docs: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) -e '.[docs]'
	touch $@
