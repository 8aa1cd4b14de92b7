# `make run` runs the exporter, `make test` checks everything. Either does all the set-up a fresh machine needs.
PYTHON ?= python3
export PYTHON
BIN := .venv/bin
READY := .venv/.ready

.PHONY: run test soak containers mutants docs format lock clean
.DELETE_ON_ERROR:

# With config.yaml where there is one, else the demo on a simulated network.
run: $(READY)
	@if [ -e config.yaml ]; then exec $(BIN)/bandwidth-exporter run; else exec $(BIN)/bandwidth-exporter demo; fi

test: $(READY)
	@scripts/setup-tests
	$(BIN)/ruff check --quiet
	$(BIN)/ruff format --check --quiet
	$(BIN)/mypy --no-error-summary
	$(BIN)/pytest -q -n 3 --dist worksteal

# The long runs: many more generated histories, from a new seed each time.
soak: $(READY)
	@scripts/setup-tests
	SOAK=1 HYPOTHESIS_PROFILE=soak $(BIN)/pytest -q -n auto -o faulthandler_timeout=0

# The image and the compose file in a real engine, of Debian's packages. Wants root; takes minutes.
containers: $(READY)
	@scripts/setup-tests
	SOAK=1 $(BIN)/pytest -q -s -rs -o faulthandler_timeout=0 tests/containers/test_engine.py

# Breaks the ledger on purpose, one rule at a time, and sees whether a test notices.
mutants: $(READY)
	$(BIN)/python -m tests.ledger.mutants

# Pages and dashboards that are made from the code.
docs: $(READY)
	$(BIN)/python -m docs.generate
	$(BIN)/python -m grafana

format: $(READY)
	$(BIN)/ruff check --fix --quiet
	$(BIN)/ruff format --quiet

# Takes the newest versions pyproject.toml allows. The lock holds hashes and no address, so any mirror serves.
lock: $(READY)
	$(BIN)/uv pip compile pyproject.toml --group dev --universal --python-version 3.11 --generate-hashes --upgrade \
		--no-header --no-emit-index-url --no-emit-find-links --quiet --output-file requirements.lock

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist *.egg-info

$(READY): requirements.lock pyproject.toml scripts/setup
	@scripts/setup
