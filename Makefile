PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
WORKERS ?= logical

.PHONY: demo test browser screenshots frameworks lint bench docs clean

demo: $(READY)
	mkdir -p demo
	$(BIN)/lcpfn forecast lcpfn/examples/digits_mlp.csv --horizon 60 --mode max \
	  --bounds 0 1 --beat 0.97 --plot demo/forecast.png

# In processes that take whole files. The slow tests compute more than they compile, so
# they compile as users do (see tests/conftest.py).
test: $(READY) lint
	$(BIN)/python -m pytest -q -n $(WORKERS) --maxprocesses 4 --dist loadfile
	XLA_FLAGS= $(BIN)/python -m pytest -q -m slow -n $(WORKERS) --maxprocesses 4 --dist loadfile

# The page in a real browser: Debian's, which is installed where that is possible.
browser: $(READY)
	command -v chromium > /dev/null && command -v chromedriver > /dev/null || \
	  { apt-get update -qq && apt-get install -y -qq chromium chromium-driver; }
	LCPFN_BROWSER=1 $(BIN)/python -m pytest -q -m "slow or not slow" tests/browser

screenshots: $(READY)
	$(BIN)/python -m docs.screenshots

# The heavy frameworks, and the rivals, which Ax brings along; torch first and by version,
# for a wheel without CUDA. Syne Tune asks for an XGBoost that brings CUDA along, and runs
# without it.
frameworks: $(READY)
	$(BIN)/python -m pip install --quiet torch==2.13.0
	$(BIN)/python -m pip install --quiet "lightning>=2.4" "transformers>=4.45" \
	  "accelerate>=1.0" "catboost>=1.2.7" "ray[tune]>=2.40" "ax-platform>=1.2" \
	  optunahub dill sortedcontainers statsmodels
	$(BIN)/python -m pip install --quiet --no-deps "syne-tune>=0.15"
	$(BIN)/python -m pytest -q -m "slow or not slow" -n $(WORKERS) --maxprocesses 4 \
	  --dist loadfile tests/integrations \
	  tests/docs/test_readme.py tests/docs/test_examples.py tests/io/test_sources.py \
	  tests/eval/speed/test_in_ray.py tests/eval/baselines/test_other_runs.py \
	  -k "lightning or transformers or catboost or optunahub or test_ray or test_in_ray \
	    or test_ax or gaussian_process or cannot_be_drawn \
	    or test_syne_tune or (test_readme and integrations) \
	    or (test_examples and (ray or syne or ax_strategy or boosting))"

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Into site/; a broken link or docstring is an error.
docs: $(READY)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

bench: $(READY)
	$(BIN)/lcpfn evaluate speed --out eval/results/bench.json

# Installed anew whenever the dependencies change.
$(READY): pyproject.toml
	test -d .venv || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	touch $(READY)

clean:
	rm -rf .venv .pytest_cache demo site build *.egg-info
