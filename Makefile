# Everything runs in .venv, which the first target that needs it makes.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
DATA := runs/quickstart-data

.DEFAULT_GOAL := help
.PHONY: help venv quickstart lint format typecheck test test-fast test-containers test-cluster images bench pipeline clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  \1\t\2/' | expand -t 16

venv: $(INSTALLED) ## make .venv with the locked dependencies and detsweep in it

$(INSTALLED): requirements.lock
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --requirement requirements.lock
	$(BIN)/pip install --quiet --no-deps --editable .
	touch $@

quickstart: venv $(DATA) ## draw a small data set and run the whole pipeline on it
	$(BIN)/detsweep run --data $(DATA) --sweep sweeps/quickstart.yaml --store runs/quickstart preset=quickstart

$(DATA): | venv
	$(BIN)/detsweep data synth $@

lint: venv ## check style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: venv ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

typecheck: venv ## check types
	$(BIN)/mypy

# A file's tests stay together, for they share what its fixtures trained; a process has one core.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/pytest -n auto --dist loadfile --ignore tests/cluster

test: venv ## run every test but those of images and clusters, one process a core
	$(PYTEST) -m "not container"

test-fast: venv ## run the tests but those of the reference network at its full size
	$(PYTEST) -m "not slow and not container"

test-containers: venv ## run the pipeline in the images, which `make images` builds
	$(BIN)/pytest -m container

# LEVEL=control_plane leaves out what needs a node.
LEVEL ?= control_plane or node

test-cluster: venv ## run the tests on the cluster that KUBECONFIG points at
	$(BIN)/pytest tests/cluster -m "$(LEVEL)" -rs

images: ## build both container images with docker, podman or buildah
	images/build.sh

bench: venv ## time the hot paths beside their peers, which `pip install -e '.[bench]'` installs
	$(BIN)/python -m benchmarks

pipeline: venv ## compile pipelines/sweep.yaml, which Kubeflow takes
	$(BIN)/kfp dsl compile --py pipelines/sweep.py --output pipelines/sweep.yaml

clean: ## remove what was built, but neither .venv nor runs
	rm -rf dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find src components pipelines tests -name __pycache__ -prune -exec rm -rf {} +
