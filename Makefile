# A thin face over CMake presets and pip: every line here can be typed by hand.
#
#   make setup    once; installs what is missing (scripts/setup)
#   make test     all tests       make demo    the digits job       make bench   the benchmarks
#   make bench asks everything and writes the tables and plots under docs/; bench-ours and bench-peers are its halves

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

VENV := $(CURDIR)/.venv
# The tools that scripts/setup put there: cmake, ninja, ctest, pytest.
export VIRTUAL_ENV := $(VENV)
export PATH := $(VENV)/bin:$(PATH)

# What is compiled alike, as the wheel and the Debian packages are, is one to ccache: in whichever folder, and by one
# compiler under one name. Debian's Python calls it x86_64-linux-gnu-g++.
export CCACHE_BASEDIR := $(CURDIR)
export CXX ?= g++

# With the time of day, which tells afterwards what took how long.
say = @printf '\n== %s (%(%H:%M:%S)T) ==\n'

.PHONY: help setup build test lint docs dist deb pythons soak fuzz fuzz-build fuzz-tests demo bench bench-build bench-ours bench-peers format clean
.NOTPARALLEL:

help:
	@echo 'tensord: named tensors in shared memory. Targets:'
	@echo '  make demo     three processes, one model in shared memory: the example in examples/digits'
	@echo '  make test     build and run every test: C++ (also under the sanitizers) and Python'
	@echo '  make fuzz     the fuzzers, for MINUTES=10 in all; KEEP=--keep puts what they found into the corpus'
	@echo '  make bench    the benchmarks, all of them: JSON in build/bench, tables and plots in docs (half an hour at most)'
	@echo '  make bench-ours    only tensord against what the machine allows'
	@echo '  make bench-peers   only tensord beside Ray, Plasma, iceoryx2 and others, each in an environment under build/peers'
	@echo '  make build    the library, daemon, tools and C++ tests, in build/dev'
	@echo '  make dist     what is uploaded: an sdist and a wheel for other machines, in dist/'
	@echo '  make deb      the Debian packages tensord and libtensord-dev, in dist/'
	@echo '  make pythons  builds the package and runs its tests with each other Python of 3.10 to 3.13 that is here'
	@echo '  make setup    install what is missing: Debian packages, and .venv with PyTorch'
	@echo '  make lint     layout, suspicious constructs and types of C++ and Python; a part of make test'
	@echo '  make docs     the documentation as a site: build/site/index.html'
	@echo '  make format   lay out the C++ and Python sources'
	@echo '  make clean    remove build/ and dist/ (not .venv)'

setup:
	@scripts/setup

build: setup
	$(say) 'building the C++ side: build/dev'
	@cmake --preset dev
	@cmake --build --preset dev

# What errors said while the tests ran (tests/messages); build/dev's tests write it by themselves.
MESSAGES := $(CURDIR)/build/dev/messages.txt

# The wheel, as a user gets it from `pip install .`, in the virtual environment. Made again only when
# something that goes into it has changed; without the network, from what scripts/setup installed.
WHEEL_STAMP := .venv/tensord-wheel.stamp
WHEEL_SOURCES := CMakeLists.txt pyproject.toml README.md packaging/copyright $(shell find cmake lib daemon tools python \
	-type f -not -path '*/__pycache__/*' -not -path '*/.*')

.PHONY: wheel
wheel: setup
	@$(MAKE) --no-print-directory $(WHEEL_STAMP)

$(WHEEL_STAMP): $(WHEEL_SOURCES)
	$(say) 'building and installing the Python package: .venv'
	@python -m pip install --disable-pip-version-check --quiet --no-build-isolation --no-deps --force-reinstall . \
	  --config-settings=cmake.define.CMAKE_COMPILE_WARNING_AS_ERROR=ON
	@touch $@

test: build wheel
	$(say) 'how the code is written'
	@scripts/lint
	$(say) 'C++ tests: build/dev'
	@rm -f $(MESSAGES)
	@ctest --preset dev
	$(say) 'Python tests: tests/python, against the installed package'
	@TENSORD_MESSAGES=$(MESSAGES) python -m pytest -q
	$(say) 'every error message: seen by a test, and with what to do'
	@python tests/messages/check.py $(MESSAGES)
	$(say) 'C++ tests under AddressSanitizer and UndefinedBehaviorSanitizer: build/asan'
	@cmake --preset asan
	@cmake --build --preset asan
	@ctest --preset asan
	$(say) 'concurrency tests under ThreadSanitizer: build/tsan'
	@cmake --preset tsan
	@cmake --build --preset tsan
	@ctest --preset tsan
	@$(MAKE) --no-print-directory fuzz-tests
	$(say) 'all tests passed'

lint: setup
	@scripts/lint

dist: setup
	$(say) 'sdist and wheel: dist'
	@scripts/dist

pythons: setup
	$(say) 'the package and its tests with the other Pythons of this machine: build/pythons'
	@scripts/test-pythons

deb: setup
	$(say) 'Debian packages: dist'
	@cmake --preset deb
	@cmake --build --preset deb
	@cpack --preset deb
	@rm -rf dist/_CPack_Packages

# Fetches nothing. The Python reference is that of the installed package.
docs: wheel
	$(say) 'the documentation: build/site'
	@NO_MKDOCS_2_WARNING=1 python -m mkdocs build --quiet --strict

# Of the soak test, and of the fuzzers together.
MINUTES ?= 10
SEED ?=

soak: wheel
	$(say) 'the soak test, $(MINUTES) minutes: build/dev'
	@cmake --preset dev
	@cmake --build --preset dev --target soak --target tensord_daemon
	@TENSORD_DAEMON="$(CURDIR)/build/dev/daemon/tensord" build/dev/tests/soak/soak --minutes $(MINUTES) $(if $(SEED),--seed $(SEED)) \
	  --python "$$(command -v python)" --python-worker tests/soak/worker.py

# libFuzzer belongs to clang, which is all that is missing where these are skipped; scripts/setup installs it where
# there is a package of it.
FUZZ_COMPILER := clang++-14
KEEP ?=

fuzz-build:
	@cmake --preset fuzz
	@cmake --build --preset fuzz

fuzz-tests:
	$(say) 'fuzzers, for a short while each: build/fuzz'
	@if command -v $(FUZZ_COMPILER) >/dev/null; then \
	  $(MAKE) --no-print-directory fuzz-build && ctest --preset fuzz; \
	else \
	  echo 'skipped: there is no $(FUZZ_COMPILER); install clang 14 with its run-time library'; \
	fi

fuzz: setup fuzz-build
	$(say) 'fuzzers, $(MINUTES) minutes in all: build/fuzz'
	@tests/fuzz/run --build build/fuzz/tests/fuzz --minutes $(MINUTES) $(KEEP)

demo: wheel
	$(say) 'building the C++ training job: build/dev'
	@cmake --preset dev
	@cmake --build --preset dev --target digits_trainer
	$(say) 'the digits job: NumPy, C++ and PyTorch processes share one store'
	@python examples/digits/run --trainer build/dev/examples/digits/trainer

bench-build: setup
	$(say) 'building the benchmarks: build/bench'
	@cmake --preset bench
	@cmake --build --preset bench

bench: bench-build
	$(say) 'benchmarks: tensord, its floors, and its peers, each of them in an environment of its own: build/peers'
	@python benchmarks/run --build build/bench

bench-ours: bench-build
	$(say) 'benchmarks: tensord and its floors'
	@python benchmarks/run --build build/bench --results build/bench/ours.json --only ours

bench-peers: bench-build
	$(say) 'benchmarks: tensord and its peers, each of them in an environment of its own: build/peers'
	@python benchmarks/run --build build/bench --results build/bench/peers.json --only peers

format:
	@git ls-files '*.cpp' '*.hpp' | xargs clang-format-14 -i
	@ruff format --quiet && ruff check --quiet --fix

clean:
	rm -rf build dist
