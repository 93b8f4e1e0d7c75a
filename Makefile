# Everything a checkout needs. `make test` and `make demo` work on a fresh machine with python3 >= 3.11 and make.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: demo test lint bench docs setup lock clean help

help:            ## This list
	@grep -hE '^[a-z]+: .*##|^[a-z]+:  *##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

setup: $(READY)  ## A virtual environment with everything in it

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Omnitron needs Python 3.11 or newer; say which: make PYTHON=python3.12 ..."; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv || { echo "python3 -m venv does not work here; on Debian: apt-get install python3-venv"; exit 1; }
	$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@$(BIN)/python -m compileall -q src
	@touch $(READY)

demo: setup      ## The market of recipe 1 on real Postgres and Redis, until Ctrl-C
	$(BIN)/python examples/01-stream-fan-in/demo.py

test: setup      ## All checks and tests
	$(MAKE) --no-print-directory lint
	$(BIN)/python -m pytest $(ARGS)

lint: setup      ## ruff, mypy (strict), import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy tests/typing/consumer.py
	PYTHONPATH=src $(BIN)/lint-imports --no-cache

bench: setup     ## Measure; writes benchmarks/results/
	$(BIN)/python -m benchmarks $(ARGS)

docs: setup      ## Write the generated reference
	$(BIN)/python docs/generate.py

lock:            ## Renew requirements.lock (needs uv)
	uv pip compile pyproject.toml --all-extras --group dev --group bench --universal --generate-hashes --no-emit-index-url --no-annotate --custom-compile-command "make lock" -o requirements.lock

clean:           ## Remove what was set up
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache dist
