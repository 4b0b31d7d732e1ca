# Everything from a fresh checkout: `make demo` (a report in reports/quickstart/index.html) and `make test`.

VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -c constraints.txt
export OMP_NUM_THREADS := 1
# what is compiled is kept, so that every process after the first one starts sooner
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test whole shapes simulations faults docs zoo site gallery lint build wheel bench clean

demo: $(VENV)/installed
	$(BIN)/gradscope run quickstart --workers 2

PYTEST := $(BIN)/python -m pytest -n 2 --dist worksteal
test: $(VENV)/installed-test
	$(PYTEST) -m "not slow and not faults and not whole and not pages and not zoo"

# commands in processes of their own, reports with all their figures, notebooks and browsers
whole: $(VENV)/installed-dev
	$(PYTEST) -m whole tests

# the mathematics again, every call held against the shapes and types that it claims
# (a stack along depth takes long under it, and is held against autograd elsewhere)
CAPTURE := $(filter-out %/test_depth.py %/test_depth_variants.py %/test_depth_trace.py,$(wildcard tests/capture/test_*.py))
SHAPES := $(CAPTURE) $(addprefix tests/,$(addsuffix /test_contract.py,cells clips inits optimizers probes tasks) \
  $(patsubst %,dynamics/test_%.py,backpropagation products norms horizon lags paths))
shapes: $(VENV)/installed-dev
	$(PYTEST) -m "not slow and not zoo" --jaxtyping-packages=gradscope,beartype.beartype $(SHAPES)

# what intervals cover and how often tests err, by thousands of draws
simulations: $(VENV)/installed-dev
	$(PYTEST) -m slow tests

# runs that are killed, damaged and cut short, and files that nobody would write; SHARE=1 is all of
# them, and so are SHARE=0.1 ROUND=1 to ROUND=10, whose counts add up
SHARE ?= 0.02
ROUND ?= 1
FAULTS := .faults/$(ROUND)
faults: $(VENV)/installed-dev
	$(if $(filter 1,$(ROUND)),rm -rf .faults)
	mkdir -p .faults && rm -f $(FAULTS).part $(FAULTS).jsonl
	GRADSCOPE_FAULTS=$(SHARE) GRADSCOPE_FAULTS_ROUND=$(ROUND) GRADSCOPE_FAULTS_LOG=$(FAULTS).part \
	  $(PYTEST) -m faults --timeout=14400 tests/faults
	mv $(FAULTS).part $(FAULTS).jsonl
	$(BIN)/python -m tests.faults.figures .faults $(SHARE)

# what the pages of the documentation show, run as it stands there
docs: $(VENV)/installed-dev
	$(PYTEST) -m pages tests/test_docs.py tests/test_site.py

# models, loops and trainers of packages, as their users run them; SHARE of the zoo's table
zoo: $(VENV)/installed-zoo
	$(BIN)/python -m benchmarks.zoo_of_models --share 0.34
	$(PYTEST) -m zoo tests/scope

# the documentation as a site, in build/site: its notebooks are run, and a dead link is an error
site: $(VENV)/installed-dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict
	$(BIN)/python -m docs._site.offline build/site

# the pictures of docs/figures.md and the pages of reports/gallery, made anew; run by hand where a
# figure or an experiment has changed
gallery: $(VENV)/installed-dev
	$(BIN)/python -m docs._site.gallery
	$(BIN)/python -m docs._site.reports

lint: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/pyright --pythonpath $(BIN)/python

# the package as an index would have it, and what the index would say of it
build: $(VENV)/installed-dev
	rm -rf dist
	$(BIN)/python -m build --no-isolation
	$(BIN)/python -m twine check --strict dist/*

# the built package in an environment of its own, away from this folder
wheel: build
	rm -rf $(VENV)-wheel
	$(PYTHON) -m venv $(VENV)-wheel
	$(VENV)-wheel/bin/python -m pip install --quiet --disable-pip-version-check --no-compile -c constraints.txt dist/*.whl
	cd $$(mktemp -d) && $(CURDIR)/$(VENV)-wheel/bin/gradscope run quickstart --set training.steps=20
	rm -rf $(VENV)-wheel

bench: $(VENV)/installed-dev
	$(BIN)/python -m benchmarks.training_step
	$(BIN)/python -m benchmarks.recording_cost
	$(BIN)/python -m benchmarks.dynamics
	$(BIN)/python -m benchmarks.referee
	$(BIN)/python -m benchmarks.attaching
	$(BIN)/python -m benchmarks.diagnosis
	$(BIN)/python -m benchmarks.borderline
	$(BIN)/python -m benchmarks.reports --case 50

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) -e .
	touch $@

$(VENV)/installed-test: $(VENV)/installed
	$(PIP) -e '.[test]'
	touch $@

$(VENV)/installed-dev: $(VENV)/installed-test
	$(PIP) -e '.[dev]'
	touch $@

$(VENV)/installed-zoo: $(VENV)/installed-dev
	$(PIP) -e '.[dev,zoo]'
	touch $@

clean:
	rm -rf $(VENV) $(VENV)-wheel .faults build dist *.egg-info .pytest_cache .ruff_cache .hypothesis .import_linter_cache
