# make demo, make test: on a bare Linux machine with Python and a C compiler, nothing else to type.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SOURCES := setup.py pyproject.toml $(shell find matchcore -name '*.pyx' -o -name '*.pxd' -o -name '*.h')

# Processes that share the tests, a file at a time: one more than two cores have, as many tests
# wait for servers and disks.
TESTERS ?= 3

.PHONY: demo test test-debug bench bench-peers lint clean build servers

build: $(VENV)/built

$(VENV)/pip:
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/built: $(VENV)/pip $(SOURCES)
	$(BIN)/pip install -q -e '.[test,lint]'
	touch $@

demo: build
	$(BIN)/matchcore demo

# Tests wait for disks and servers now and then: the checks of the code run beside them.
test: build servers
	$(MAKE) --no-print-directory lint & lint=$$!; \
	$(BIN)/python -m pytest -n $(TESTERS) --dist loadfile; tests=$$?; \
	wait $$lint && exit $$tests

# MariaDB, PostgreSQL, Redis and haproxy for the tests; MATCHCORE_SKIP_SERVERS=1 does without them.
servers:
	tests/sinks/servers.sh

# The same suites over modules with bounds checks and overflow traps.
test-debug: build servers
	MATCHCORE_DEBUG=1 $(BIN)/pip install -q --no-deps -e .
	$(BIN)/python -m pytest --deselect tests/project
	rm $(VENV)/built

bench: build
	$(BIN)/python -m pytest benchmarks --benchmark-enable --benchmark-only $(BENCH)

# What a Python user could install instead, from PyPI into a temporary environment.
bench-peers: build
	$(BIN)/python -m benchmarks.peers $(PEERS)

lint: build
	$(BIN)/ruff check .
	$(BIN)/mypy

clean:
	rm -rf $(VENV) build dist *.egg-info demo.d matchcore/*.so matchcore/*/*.so
