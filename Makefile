# Two commands do everything on a fresh Debian 12 with python3, venv and make: `make demo`, `make test`.
SHELL := /bin/bash
PYTHON ?= python3
UV_VERSION := 0.13.9
UV := .build/uv/bin/uv
BIN := .venv/bin
export UV_PYTHON_DOWNLOADS := never
export UV_PROJECT_ENVIRONMENT := .venv
export UV_COMPILE_BYTECODE := 1
export DO_NOT_TRACK := 1
export PREFECT_SERVER_ANALYTICS_ENABLED := false
ARGS ?=
NO_SERVER := "not server and not browser and not slow"
SERVER := "(server or browser or slow) and not long"
SEED ?= 1


.PHONY: help setup setup-system setup-node demo test test-long check bench chaos lint clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

setup: .build/synced ## install everything into .venv from the lock file

$(UV):
	@echo "==> installing uv $(UV_VERSION) into .build/uv" >&2
	@$(PYTHON) -m venv .build/uv || { echo "python3-venv is missing; run: apt-get install -y python3-venv" >&2; exit 1; }
	@.build/uv/bin/pip install --quiet --disable-pip-version-check "uv==$(UV_VERSION)"

.build/synced: $(UV) pyproject.toml uv.lock
	@echo "==> installing Sidestream and its locked dependencies into .venv" >&2
	@$(UV) sync --frozen --extra dev --python "$$($(PYTHON) -c 'import sys; print(sys.executable)')" >&2
	@touch $@

setup-system: ## install mosquitto, socat and chromium where that is allowed, else say how
	@scripts/install-system-packages mosquitto mosquitto_sub=mosquitto-clients chromium socat strace

NODE_FOLDERS := tests/timescale tests/edge/sparkplug tests/edge/modbus_servers tests/edge/opcua
setup-node: .build/node-synced ## TimescaleDB in WebAssembly, a Sparkplug edge node, Modbus and OPC UA servers, to test with

.build/node-synced: $(NODE_FOLDERS:=/package-lock.json)
	@mkdir -p .build
	@if command -v npm >/dev/null; then \
	  for folder in $(NODE_FOLDERS); do \
	    echo "==> installing $$folder" >&2; \
	    (cd $$folder && npm ci --legacy-peer-deps --no-audit --no-fund --loglevel=error >&2) & pids="$$pids $$!"; \
	  done; for pid in $$pids; do wait $$pid || exit 1; done; \
	else echo "==> node is missing, the tests of $(NODE_FOLDERS) are skipped; to run them too: apt-get install -y nodejs npm" >&2; fi
	@touch $@

demo: setup ## the whole product on embedded servers; ARGS="--for 60s --json"
	@$(BIN)/sidestream demo $(ARGS)

check: setup static ## format, lint, types, imports, drift, tests without servers (under a minute)
	@$(BIN)/pytest -q -n 2 -m $(NO_SERVER) --hypothesis-profile=quick $(ARGS)

# The same examples every time, so that a change is judged by itself; `make check` draws new ones each time it runs.
test: setup setup-system setup-node static ## all tests, with a real broker, PostgreSQL and browser
	@$(BIN)/pytest -q -n 2 -m $(NO_SERVER) --hypothesis-profile=ci
	@$(BIN)/pytest -q -n 4 --dist loadfile -m $(SERVER) --hypothesis-profile=ci tests/edge  # mostly waits for devices
	@$(BIN)/pytest -q -n 2 --dist loadfile -m $(SERVER) --hypothesis-profile=ci --ignore tests/edge $(ARGS)

test-long: setup setup-system ## tests that make test leaves out for their time: recorded plants, all changes of a hub, a run that must fail
	@$(BIN)/pytest -q -n 2 --dist loadfile -m long $(ARGS)

.PHONY: static
static: setup
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports | sed -n '/^Contracts:/p;/BROKEN/p'; exit $${PIPESTATUS[0]}

bench: setup ## what a minute of the demo measures, as JSON
	@$(BIN)/sidestream demo --for 60s --json --fresh --dir .build/bench --web-port 0 --prefect-port 0 --broker-port 0 $(ARGS)

chaos: setup ## faults at random moments for a minute, then exact counting; SEED=n ARGS="--json"
	@$(BIN)/sidestream chaos --seed $(SEED) $(ARGS)

clean: ## remove everything that make made, the demo's data too
	rm -rf .venv .build .sidestream test-output $(NODE_FOLDERS:=/node_modules)
