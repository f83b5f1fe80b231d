# One Python (3.11 or later) and make: `make demo` and `make test` do all the rest.
PYTHON ?= $(firstword $(foreach name,python3 python3.13 python3.12 python3.11 python,\
            $(shell $(name) -c 'import sys; sys.version_info >= (3, 11) and print("$(name)")' 2>/dev/null)))
BIN := .venv/bin
READY := .venv/ready

.PHONY: setup demo test check soak bench dist lock clean

setup: $(READY)

$(READY): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11 or later is needed: install it, or say PYTHON=/path/to/python" >&2; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "$(PYTHON) lacks venv and ensurepip: install your system's package for them (Debian: python3-venv)" >&2; exit 2; }
	$(PYTHON) -m venv --clear .venv
	$(BIN)/pip install --quiet --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(READY)
	$(BIN)/authz demo

# Every check, then every test; slow fault and soak runs in their short form.
test: check
	$(BIN)/pytest -q -n 3 --dist worksteal

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python .ci/lock_is_fresh.py
	$(BIN)/python .ci/docs_are_sound.py

soak: $(READY)
	SOAK=1 $(BIN)/pytest -q -n 2 --dist worksteal -m "soak or hypothesis"

bench: $(READY)
	$(BIN)/python -m benchmarks

# Wheel, source archive, the pins of what they need to run, and what makes a container of them.
dist: $(READY)
	rm -rf dist
	$(BIN)/python -m hatchling build
	$(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url \
		--no-annotate --quiet --constraint requirements.lock --output-file dist/requirements.lock
	cp authz/deploy/debian.sh authz/deploy/Containerfile dist/

# Resolve again, keeping what is pinned unless UPGRADE=--upgrade; no index address is written.
lock: $(READY)
	$(BIN)/python .ci/lock_is_fresh.py --write $(UPGRADE)

clean:
	rm -rf .venv build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
