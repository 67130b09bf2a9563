# make demo, make test: on a bare Linux machine with Python and a C compiler, nothing else to type.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SOURCES := setup.py pyproject.toml $(wildcard matchcore/*.pyx matchcore/*/*.pyx matchcore/*.pxd matchcore/*.h)

.PHONY: demo test bench lint clean build

build: $(VENV)/built

$(VENV)/pip:
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/built: $(VENV)/pip $(SOURCES)
	$(BIN)/pip install -q -e '.[test,lint]'
	touch $@

demo: build
	$(BIN)/matchcore demo

test: build
	$(BIN)/python -m pytest

bench: build
	$(BIN)/python -m pytest benchmarks --benchmark-enable --benchmark-only

lint: build
	$(BIN)/ruff check .
	$(BIN)/mypy

clean:
	rm -rf $(VENV) build dist *.egg-info demo.d matchcore/*.so matchcore/*/*.so
