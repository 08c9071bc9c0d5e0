# Installs by itself on first use, into .venv; a second call does nothing twice.
#   make train ARGS='--preset catch'      make test ARGS='-k matching'
#   make train EXTRAS=dev,cuda            make test PYTHON=/path/to/python

EXTRAS ?= dev
ARGS ?=
PYTEST = .venv/bin/python -m pytest
PACKAGES := $(wildcard actors learner meta experiments benchmarks)

# The newest Python that really starts and can make a virtual environment: a
# pyenv shim may stand for a version that is not there. Else whatever there is.
PYTHON ?= $(shell \
  for python in python3.12 python3.11 python3; do \
    $$python -c 'import sys, ensurepip; sys.exit(sys.version_info < (3, 11))' \
      2> /dev/null && echo $$python && exit; \
  done; echo python3)

define NEW_VENV
  $(PYTHON) -c 'import sys, ensurepip; sys.exit(sys.version_info < (3, 11))' \
    2> /dev/null || { \
    echo 'bmg needs Python 3.11 or newer, with venv. Found $(PYTHON):' \
      "$$($(PYTHON) --version 2>&1). Name another:" \
      'make $(MAKECMDGOALS) PYTHON=/path/to/python' >&2; \
    exit 1; }; \
  $(PYTHON) -m venv --clear .venv
endef

define RUN_TESTS
  @$(MAKE) --no-print-directory -k -j2 computing waiting WHICH='$(1)'; \
    code=$$?; echo 'and those that start Ray:'; cat .venv/waiting.txt; exit $$code
endef

comma := ,
INSTALLED := .venv/installed-$(subst $(comma),-,$(EXTRAS))

.DEFAULT_GOAL := help
.PHONY: help train test test-all optimised computing waiting lint bench \
  bench-check docs site chaos clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-11s %s\n", $$1, $$2}' \
	  Makefile

train: $(INSTALLED) ## train a BMG agent on Pong, about ten minutes
	@.venv/bin/bmg train --preset quick $(ARGS)

test: $(INSTALLED) ## the tests, without those marked slow
	$(call RUN_TESTS,not slow)

test-all: $(INSTALLED) ## every test, and `optimised`
	$(call RUN_TESTS,slow or not slow)
	@$(MAKE) --no-print-directory optimised

# All other tests save time by not optimising what they compile.
NUMERICAL = tests/meta tests/learner/loss*_test.py \
  tests/learner/vtrace_test.py tests/learner/optimisers_test.py \
  tests/learner/learner_test.py tests/learner/probes \
  tests/actors/networks_test.py tests/actors/layers_test.py

optimised: $(INSTALLED) ## the numerical tests, compiled as runs are
	@BMG_TEST_OPTIMISED=1 nice $(PYTEST) -n 2 $(NUMERICAL) $(ARGS) \
	  || test $$? = 5

# Those that start Ray, one after another, mostly wait for processes: the others
# run at the same time, and yield. 5 says that ARGS left no tests.
computing:
	@nice $(PYTEST) -n 2 -m '($(WHICH)) and not ray' $(ARGS) || test $$? = 5

waiting:
	@$(PYTEST) -m '($(WHICH)) and ray' $(ARGS) > .venv/waiting.txt 2>&1 \
	  || test $$? = 5

lint: $(INSTALLED) ## style and types
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy $(PACKAGES)

bench: $(INSTALLED) ## how fast each stage is here, about half an hour
	@.venv/bin/bmg bench $(ARGS)

bench-check: $(INSTALLED) ## the ratios that a change could spoil, two minutes
	@.venv/bin/bmg bench --preset check $(ARGS)

docs: ## the documentation as a site, in build/site
	@$(MAKE) --no-print-directory site EXTRAS=$(EXTRAS),docs

# The theme announces its successor at each build.
site: $(INSTALLED)
	@NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs build --strict $(ARGS)
	@echo 'site    build/site/index.html'

chaos: $(INSTALLED) ## faults in real runs, three rounds, about an hour
	@.venv/bin/python -m tests.chaos $(ARGS)

clean: ## remove .venv and caches; runs/ stays
	rm -rf .venv build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache \
	  .hypothesis
	find . -path ./runs -prune -o -name __pycache__ -type d -prune \
	  -exec rm -rf {} +

$(INSTALLED): setup.cfg pyproject.toml constraints.txt
	@.venv/bin/python -c '' 2> /dev/null || { $(NEW_VENV); }
	@echo 'installing bmg[$(EXTRAS)] into .venv (about two minutes, once)'
	@.venv/bin/python -m pip install -qq --disable-pip-version-check \
	  --constraint constraints.txt --editable '.[$(EXTRAS)]'
	@touch $@
