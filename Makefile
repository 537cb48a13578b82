# What a newcomer types: `make run`, `make test`. Every target prepares what it needs and is instant when it is there.
# Without make: the raw lines are in README.md.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

HOST ?= 127.0.0.1
PORT ?= 8080
ARGS ?=
BENCH ?= latency
# What the tests are installed with. Without the full-size model (no torch, 2 GB less): make test EXTRAS=bench,test
EXTRAS ?= bench,test,liveedit,tensorrt-rtx

V := .venv
PY := $(V)/bin/python
WITH_NODE := bash .ci/with_node
# PYTHONWARNINGS: what a build backend tells packagers is not news to a user.
PIP_INSTALL := PYTHONWARNINGS=ignore $(PY) -m pip install --quiet --disable-pip-version-check --retries 5 --timeout 60 -c requirements.lock
PAGE_SOURCES := $(shell find web/src web/public web/scripts -type f 2>/dev/null) \
	web/package.json web/tsconfig.json server/protocol.schema.json
SERVE := $(V)/bin/relens serve --host $(HOST) --port $(PORT) $(ARGS)

.PHONY: help setup run test check bench format generate lock clean browser coverage screenshot

help:
	@echo "make run     prepare everything and serve the page at http://$(HOST):$(PORT)  (HOST=, PORT=, ARGS=)"
	@echo "make test    every test, a real Chromium among them"
	@echo "make check   the quick loop: lint, types, borders, generated files, quick tests"
	@echo "make bench   one measurement: BENCH=latency|stages|sessions  (ARGS=)"
	@echo "make format  let ruff and biome rewrite what they can;  make generate  rewrite generated files"

setup: $(V)/.base web/dist/.built

$(V)/bin/python:
	@bash .ci/make_venv $(V)

$(V)/.base: pyproject.toml requirements.lock | $(V)/bin/python
	@echo "installing relens into $(V) ..."
	@$(PIP_INSTALL) -e .
	@touch $@

$(V)/.test: pyproject.toml requirements.lock $(V)/.base
	@echo "installing the tools of the tests into $(V) ..."
	@$(PIP_INSTALL) -e '.[$(EXTRAS)]'
	@touch $@

web/node_modules/.installed: web/package.json web/package-lock.json | $(V)/bin/python
	@echo "fetching what the page is built with ..."
	@cd web && bash ../.ci/with_node npm ci --no-audit --no-fund --loglevel=error \
		--fetch-timeout=60000 --fetch-retries=4
	@touch $@

web/dist/.built: web/node_modules/.installed $(PAGE_SOURCES)
	@cd web && bash ../.ci/with_node npm run --silent build
	@touch $@

run: setup
	@exec $(SERVE)

# Prepared beforehand so that a second `make test` needs no network.
browser: $(V)/.test
	@bash .ci/browser
	@bash .ci/services

test: setup $(V)/.test browser
	@bash .ci/suite $(ARGS)
	@cd web && bash ../.ci/with_node npm test --silent

check: setup $(V)/.test
	@bash .ci/check

bench: setup $(V)/.test
	@$(PY) -m bench $(BENCH) $(ARGS)

generate: $(V)/.base web/node_modules/.installed
	@bash .ci/generated

format: $(V)/.test web/node_modules/.installed
	@$(V)/bin/ruff check --fix --quiet . ; $(V)/bin/ruff format --quiet .
	@cd web && bash ../.ci/with_node npx biome check --write .

coverage: setup $(V)/.test
	@$(PY) -m pytest --cov --cov-report=term:skip-covered -m "not browser and not realtime" $(ARGS)

# The README's picture, on a machine that has nothing else to do.
screenshot: setup $(V)/.test browser
	@$(PY) -m pytest -q tests/web/test_page_life.py -k "screenshots and desktop"
	@$(PY) -c "from PIL import Image; Image.open('bench/out/page/desktop.png').convert('RGB').quantize(256).save('web/screenshot.png', optimize=True)"

# Resolves afresh in a throwaway environment; commit what changes.
lock:
	@bash .ci/lock

clean:
	rm -rf $(V) web/node_modules web/dist
