# make help lists the targets. Written for GNU make 3.81, which is what macOS has.
# Stamps in the virtual environment remember what was installed, so a second `make run` starts at once.

VENV  := .venv
BIN   := $(VENV)/bin
STAMP := $(VENV)/.stamp
PIP   := $(BIN)/python -m pip --quiet --disable-pip-version-check --no-input
ARGS  ?=
TESTS ?= tests

.DEFAULT_GOAL := help
.PHONY: help venv run test check compatibility image lock bench bench-peers budget profile clean venv-dev
.DELETE_ON_ERROR:

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-13s %s\n", $$1, $$2}' Makefile

venv: $(STAMP)-run ## install the gateway into .venv (pinned by hash)

run: $(STAMP)-demo ## install, and run the gateway; a tiny model answers if no engine is found (ARGS="--listen ...")
	@exec $(BIN)/llm-gateway up --demo-if-empty $(ARGS)

test: venv-dev ## install all that tests need, and run them (TESTS="tests/edge", ARGS="-k name")
	$(BIN)/python -m pytest -n auto --maxprocesses=4 --dist loadgroup --ignore=tests/benchmarks $(TESTS) $(ARGS)

check: $(STAMP)-dev ## style, types, architecture, lock files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy deploy/image/*.py deploy/examples/app/app.py
	$(BIN)/python -m pytest -q -n0 tests/test_architecture.py tests/test_locks.py

compatibility: venv-dev ## run every dialect in front of every kind of engine, and write docs/compatibility.md
	LLM_GATEWAY_COMPATIBILITY=write $(BIN)/python -m pytest -q -n0 tests/compatibility

bench: $(STAMP)-dev $(STAMP)-opa ## measure what the gateway costs, and write docs/benchmarks.md (ARGS="--quick --only a,b": only show)
	@sh requirements/system.sh bench
	$(BIN)/python -m tests.benchmarks $(ARGS)

bench-peers: $(STAMP)-dev ## install LiteLLM, Portkey and (BIFROST_SOURCE=URL) Bifrost, for bench to measure (900 MB in .cache/peers)
	@sh requirements/peers.sh .cache/peers
	$(BIN)/python -m pytest -q -rs -n0 tests/benchmarks/test_peers.py $(ARGS)

budget: $(STAMP)-dev ## count what a request costs, in instructions (ARGS=--write makes it the budget that a test holds)
	$(BIN)/python -m tests.budget $(ARGS)

profile: $(STAMP)-dev ## show where the request path spends its time: flame graphs, functions (build/profile)
	@sh requirements/system.sh bench
	$(BIN)/python -m tests.benchmarks.profile $(ARGS)

image: $(STAMP)-run ## build the container image (BASE=, TAG=, TARGET=demo, PLATFORM=linux/arm64: deploy/image/make.sh)
	@sh deploy/image/make.sh $(VENV)

lock: $(STAMP)-dev ## resolve pyproject.toml into requirements/*.lock (UPGRADE=--upgrade for newer versions)
	requirements/lock.sh $(VENV) $(UPGRADE)

clean: ## remove everything that make has made
	rm -rf $(VENV) .cache .clients .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage build *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --- what the stamps stand for (--no-compile: of thousands of modules a few are ever imported) ---

$(BIN)/python:
	@sh requirements/venv.sh $(VENV)

$(STAMP)-run: requirements/run.lock pyproject.toml | $(BIN)/python
	@echo "installing the gateway"
	@$(PIP) install --require-hashes --requirement requirements/run.lock
	@$(PIP) install --no-deps --no-build-isolation --no-index --editable .
	@touch $@

$(STAMP)-demo: requirements/demo.lock $(STAMP)-run
	@echo "installing the engine of the demo model (MLX)"
	@$(PIP) install --no-compile --require-hashes --requirement requirements/demo.lock
	@touch $@

$(STAMP)-dev: requirements/dev.lock $(STAMP)-run
	@echo "installing what checks and tests need"
	@$(PIP) install --no-compile --require-hashes --requirement requirements/dev.lock
	@touch $@

$(STAMP)-llama: requirements/llama-cpp.lock requirements/llama-cpp.sh requirements/llama-cpp.cmake \
    requirements/llama-server.cmake $(STAMP)-dev
	@sh requirements/llama-cpp.sh $(VENV)
	@touch $@

$(STAMP)-opa: requirements/opa.sh | $(BIN)/python
	@sh requirements/opa.sh $(VENV)
	@touch $@

$(STAMP)-otelcol: requirements/otelcol.sh $(STAMP)-opa
	@sh requirements/otelcol.sh $(VENV)
	@touch $@

$(STAMP)-compose: requirements/compose.sh $(STAMP)-opa
	@sh requirements/compose.sh $(VENV)
	@touch $@

$(STAMP)-jaeger: requirements/jaeger.sh $(STAMP)-opa
	@sh requirements/jaeger.sh $(VENV)
	@touch $@

.clients/.stamp: tests/clients/js/install.sh tests/clients/js/package.json tests/clients/js/package-lock.json
	@echo "installing the JavaScript client"
	@sh tests/clients/js/install.sh .clients >/dev/null
	@touch $@

.clients/%/.stamp: requirements/%.lock requirements/venv.sh
	@echo "installing Python clients: $*"
	@sh requirements/venv.sh .clients/$*
	@.clients/$*/bin/python -m pip --quiet --disable-pip-version-check --no-input install --no-compile \
	  --require-hashes --requirement requirements/$*.lock
	@touch $@

.clients/agents/.stamp: tests/agents/npm/install.sh tests/agents/npm/package.json tests/agents/npm/package-lock.json
	@echo "downloading Claude Code, Codex and opencode (400 MB, beside what is built)"
	@sh tests/agents/npm/install.sh .clients/agents >/dev/null
	@touch $@

# a second make, so that the programs are there before anything is built with them
venv-dev: ## install everything for tests, without running them
	@sh requirements/system.sh
	@sh requirements/docker.sh .cache/docker
	@$(MAKE) --no-print-directory .clients/agents/.stamp & agents=$$!; \
	$(MAKE) --no-print-directory $(STAMP)-llama $(STAMP)-otelcol $(STAMP)-compose $(STAMP)-jaeger .clients/.stamp \
	  .clients/older/.stamp .clients/llm/.stamp; built=$$?; wait $$agents && exit $$built
