# Everything runs in .venv, which the first target that needs it makes.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
DATA := runs/quickstart-data

.DEFAULT_GOAL := help
.PHONY: help venv torch lock quickstart picture docs lint format typecheck test test-fast test-containers test-cluster images pin bench pipeline sbom audit clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  \1\t\2/' | expand -t 16

venv: $(INSTALLED) ## make .venv with the locked dependencies and detsweep in it

# Packages come from where pip is set up to take them.
INDEX = $(or $(PIP_INDEX_URL),$(shell $(PYTHON) -m pip config get global.index-url 2>/dev/null))
INSTALL = $(BIN)/uv pip install --quiet --python .venv --no-deps $(INDEX:%=--default-index=%)

$(INSTALLED): requirements.lock requirements-torch.lock
	$(PYTHON) -m venv .venv
	awk '/^[a-z]/ {uv = /^uv==/} uv' requirements.lock > .venv/uv.lock
	$(BIN)/pip install --quiet $(INDEX:%=--index-url=%) --require-hashes --requirement .venv/uv.lock
	$(INSTALL) --require-hashes --requirement requirements.lock
	$(INSTALL) --editable .
	@{ $(COMPILE); $(BIN)/python -m detector.evaluation.ahead; } & \
	    $(MAKE) --no-print-directory torch; made=$$?; wait; exit $$made
	@$(COMPILE)
	touch $@

# uv leaves this to each start of Python, which where PYTHONDONTWRITEBYTECODE is set does it again every
# time: `import torch, timm` then takes three times as long. Some files of packages are not Python's.
COMPILE = $(BIN)/python -m compileall -qq -j 0 .venv/lib || true

# torch's own index of builds without CUDA, for Linux without a GPU: `make venv TORCH_INDEX=` does
# without it. The build on PyPI loads CUDA's libraries even where nothing runs on them, but not triton.
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
TORCH = $(shell sed -nE 's/^(torch|torchvision)==([^ ]+).*/\1==\2/p' requirements-torch.lock)
HAS_GPU = nvidia-smi -L >/dev/null 2>&1
torch:
	@if [ "$$(uname)" != Linux ] || $(HAS_GPU); then \
	    $(INSTALL) --require-hashes --requirement requirements-torch.lock; \
	elif [ -z "$(TORCH_INDEX)" ] || ! UV_HTTP_TIMEOUT=20 UV_HTTP_RETRIES=1 \
	    $(BIN)/uv pip install --quiet --python .venv --no-deps --default-index "$(TORCH_INDEX)" \
	    $(TORCH) 2>/dev/null; then \
	    echo "torch: the build with CUDA, since none without it can be had"; \
	    awk '/^[a-z]/ {skip = /^triton==/} !skip' requirements-torch.lock \
	        | $(INSTALL) --require-hashes --requirement -; \
	fi

lock: venv ## resolve the dependencies again, and keep what still fits
	cat requirements.lock requirements-torch.lock > .venv/all.lock
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate \
	    --extra all --extra dev $(INDEX:%=--default-index=%) pyproject.toml --output-file .venv/all.lock
	awk '/^[a-z]/ {torch = /^(torch|torchvision|triton|nvidia-[a-z0-9-]+|cuda-[a-z]+)==/} \
	    {print > (torch ? "requirements-torch.lock" : "requirements.lock")}' .venv/all.lock

quickstart: venv $(DATA) ## draw a small data set and run the whole pipeline on it
	$(BIN)/detsweep run --data $(DATA) --sweep sweeps/quickstart.yaml --store runs/quickstart preset=quickstart

$(DATA): | venv
	$(BIN)/detsweep data synth $@

# A single training of a few minutes, on the pages of the quick start.
picture: venv $(DATA) ## draw docs/found.png, which README opens with
	$(BIN)/python examples/train_and_find.py $(DATA) runs/picture preset=quickstart trainer.max_epochs=10 \
		models.scheduler.T_max=10 models.targets.shrink_ratio=0.4 \
		models.head.postprocess.unclip_ratio=1.5 data.resize.side=960
	$(BIN)/python examples/draw_outlines.py runs/picture/model.onnx \
		$(DATA)/val/images/receipt_0004.jpg docs/found.png

lint: venv ## check style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# What builds it is not in the lock.
.venv/.docs: $(INSTALLED)
	$(BIN)/pip install --quiet --editable '.[docs]'
	touch $@

docs: .venv/.docs ## build the documentation as a site, in `site`, with every link checked
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

format: venv ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Each has a cache of its own: what was checked for one system does not count for another.
typecheck: venv ## check types, as they are on Linux, macOS and Windows
	$(BIN)/mypy --platform linux --cache-dir .mypy_cache/linux
	$(BIN)/mypy --platform darwin --cache-dir .mypy_cache/darwin
	$(BIN)/mypy --platform win32 --cache-dir .mypy_cache/win32

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

pin: ## write the digests of the images' bases into their Dockerfiles, by crane or skopeo
	images/pin.sh

bench: venv ## time the hot paths beside their peers, which `pip install -e '.[bench]'` installs
	$(BIN)/python -m benchmarks

pipeline: venv ## compile pipelines/sweep.yaml, which Kubeflow takes
	$(BIN)/kfp dsl compile --py pipelines/sweep.py --output pipelines/sweep.yaml

# Both tools run in environments of their own, which uv makes.
TOOL = $(BIN)/uv tool run $(INDEX:%=--default-index=%) --from
LOCKS := requirements.lock requirements-torch.lock

sbom: venv ## write what the locks hold as a CycloneDX bill of materials, dist/sbom.json
	mkdir -p dist
	cat $(LOCKS) > dist/locked.txt
	$(TOOL) cyclonedx-bom==7.5.0 cyclonedx-py requirements dist/locked.txt --of JSON --output-file dist/sbom.json

audit: venv ## look for known vulnerabilities of the locked packages, which PyPI knows
	$(TOOL) pip-audit==2.10.1 pip-audit --disable-pip --require-hashes $(LOCKS:%=--requirement %)

clean: ## remove what was built, but neither .venv nor runs
	rm -rf dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find src components pipelines tests -name __pycache__ -prune -exec rm -rf {} +
