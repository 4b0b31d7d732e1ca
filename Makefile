# Everything from a fresh checkout: `make demo` (a report in reports/quickstart/index.html) and `make test`.

VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
export OMP_NUM_THREADS := 1

.PHONY: demo test lint bench clean

demo: $(VENV)/installed
	$(BIN)/gradscope run experiments/quickstart.yaml --workers 2

test: $(VENV)/installed-dev
	$(BIN)/python -m pytest -n 2 --dist worksteal

lint: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/pyright --pythonpath $(BIN)/python

bench: $(VENV)/installed-dev
	$(BIN)/python benchmarks/training_step.py
	$(BIN)/python benchmarks/recording_cost.py
	$(BIN)/python benchmarks/dynamics.py
	$(BIN)/python benchmarks/referee.py
	$(BIN)/python benchmarks/attaching.py
	$(BIN)/python benchmarks/diagnosis.py
	$(BIN)/python benchmarks/borderline.py

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) -e .
	touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(PIP) -e '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .ruff_cache .hypothesis
