PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: demo test lint bench clean

demo: $(READY)
	mkdir -p demo
	$(BIN)/lcpfn forecast lcpfn/examples/digits_mlp.csv --horizon 60 --mode max \
	  --bounds 0 1 --beat 0.97 --plot demo/forecast.png

test: $(READY) lint
	$(BIN)/python -m pytest -q
	$(BIN)/python -m pytest -q -m slow

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(READY)
	$(BIN)/lcpfn bench --out eval/results/bench.json

# Installed anew whenever the dependencies change.
$(READY): pyproject.toml
	test -d .venv || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	touch $(READY)

clean:
	rm -rf .venv demo build *.egg-info
