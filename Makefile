# Two commands on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin

.PHONY: demo test lint types unit wheel docs benchmark clean

# Install once per change of pyproject.toml; each stamp names the extras it stands for.
$(VENV)/demo.stamp: pyproject.toml | $(BIN)/python
	$(BIN)/pip install --quiet --editable '.[plot,html]'
	@touch $@

$(VENV)/dev.stamp: pyproject.toml | $(BIN)/python
	$(BIN)/pip install --quiet --editable '.[plot,html,dev]'
	@touch $@ $(VENV)/demo.stamp

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "memonger needs Python 3.11 or newer: make PYTHON=python3.x")'
	$(PYTHON) -m venv $(VENV)

demo: $(VENV)/demo.stamp
	@mkdir -p build/demo
	$(BIN)/memonger optimize resnet50 --output build/demo/resnet50.pb --report build/demo
	$(BIN)/memonger show build/demo/plan.json --output build/demo/resnet50.png
	$(BIN)/memonger show build/demo/plan.json --output build/demo/resnet50.html

test: lint types unit wheel

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/dev.stamp
	$(BIN)/mypy

unit: $(VENV)/dev.stamp
	$(BIN)/pytest -n auto --cov --cov-report=term

wheel: $(VENV)/dev.stamp
	scripts/check_wheel.sh $(BIN)/python

docs: $(VENV)/demo.stamp
	$(BIN)/pip install --quiet --editable '.[plot,html,docs]'
	$(BIN)/mkdocs build --strict

benchmark: $(VENV)/demo.stamp
	$(BIN)/python scripts/benchmark_growth.py

clean:
	rm -rf $(VENV) build .mypy_cache .pytest_cache .ruff_cache .coverage *.egg-info
