# Needs Python 3.10 or later and make; everything else goes into .venv.
#   make run      deploys the built-in detector on both CPU engines
#   make test     passes the tests
#   make jetson   sets up a Jetson, beside JetPack's TensorRT; WHEEL=FILE for a wheel of edgekit
# A different Python: make PYTHON=python3.12 run

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# The CPU build of torch. On macOS the plain wheel is the CPU build; elsewhere it brings CUDA.
TORCH := torch==2.13.0
ifneq ($(shell uname -s),Darwin)
TORCH := $(TORCH)+cpu
endif
TORCH_INDEX := https://download.pytorch.org/whl/cpu
# For its tests alone: its licence is the AGPL, and its dependencies bring a torchvision for CUDA.
ULTRALYTICS := ultralytics==8.4.190 ultralytics-thop==2.2.3
PIP := $(BIN)/python -m pip install --quiet
# Whatever else is installed, another torch is refused and not fetched.
PIP_KEEP_TORCH := $(PIP) --constraint $(VENV)/constraints.txt

.DEFAULT_GOAL := help
.PHONY: help run jetson test test-slow test-gpu fuzz check docs docs-links bench-fidelity bench-cli bench-errors bench-gpu bench-pipeline bench-demo schemas clean

help: ## Show these lines
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 20

run: $(VENV)/run.stamp ## Deploy the built-in detector on both CPU engines
	$(BIN)/edgekit data shapes --output-path bundles/shapes-data --force
	$(BIN)/edgekit deploy edgekit:shapes --data bundles/shapes-data --report-images \
		--target onnxruntime:cpu --target openvino:cpu --output-path bundles/shapes --force

jetson: ## Set up a Jetson beside JetPack's TensorRT; WHEEL=FILE installs that wheel
	@$(PYTHON) tools/jetson.py --venv $(VENV) $(if $(WHEEL),--wheel $(WHEEL))

test: $(VENV)/dev.stamp ## Run the tests, without the slow ones
	$(BIN)/python -m pytest -m "not slow" --numprocesses 2 --dist loadfile

test-slow: $(VENV)/dev.stamp ## Run the slow tests
	$(BIN)/python -m pytest -m slow

test-gpu: $(VENV)/dev.stamp ## Run the tests that need an NVIDIA GPU; says what was skipped and why
	$(BIN)/python -m pytest -m gpu -rs

fuzz: $(VENV)/dev.stamp ## Damage N inputs of all kinds; SEED=… others, KIND=… of one kind
	$(BIN)/python tests/fuzz/fuzz.py -n $(or $(N),2000) $(if $(SEED),--seed $(SEED)) $(if $(KIND),--kind $(KIND))

check: $(VENV)/dev.stamp docs ## Lint, format, types, layers, documentation, packaging
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports
	$(BIN)/python -m pytest tests/packaging -m "not slow"

docs: $(VENV)/dev.stamp ## Build the documentation; open build/docs/index.html
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going --fresh-env docs build/docs

docs-links: $(VENV)/dev.stamp ## Ask the network whether links to other sites lead somewhere
	$(BIN)/sphinx-build --quiet --builder linkcheck docs build/docs-links

bench-fidelity: $(VENV)/run.stamp ## Hold the instrument against bare loops and benchmark_app (12 minutes)
	$(BIN)/python tools/peers/fidelity.py

bench-cli: $(VENV)/run.stamp ## Hold the command line against a bare interpreter
	$(BIN)/python tools/peers/cli.py

bench-gpu: $(VENV)/run.stamp ## Measure this machine's NVIDIA GPUs; MODELS=DIR for graphs made elsewhere
	$(BIN)/python tools/peers/gpu.py $(if $(MODELS),--models $(MODELS))

bench-demo: $(VENV)/run.stamp build/peers/ultralytics/made.stamp ## Hold the live demo against ultralytics and a hand-written loop (20 minutes)
	$(BIN)/python tools/peers/demo.py $(if $(VIDEO),--video $(VIDEO))

# ultralytics (AGPL-3.0) has an environment of its own, which uses the engines of this one.
build/peers/ultralytics/made.stamp: $(VENV)/run.stamp tools/peers/make_ultralytics_env.py
	$(BIN)/python tools/peers/make_ultralytics_env.py
	@touch $@

bench-errors: $(VENV)/run.stamp ## Replay recorded noise: error rates of A against B
	$(BIN)/python tools/peers/error_rates.py

bench-pipeline: $(VENV)/run.stamp ## Hold the demo's pipeline against the bare engine; MODEL=FILE.onnx, VIDEO=FILE
	$(BIN)/python tools/peers/pipeline_share.py $(MODEL) $(if $(VIDEO),--video $(VIDEO))

schemas: $(VENV)/dev.stamp ## Write the JSON Schemas anew from the documents' records
	$(BIN)/python -m edgekit.benchmarks.schemas.make

clean: ## Remove the virtual environment, bundles and caches
	rm -rf $(VENV) bundles build dist edgekit.egg-info .coverage
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# The stamps make a second `make run` start at once; pyproject.toml makes it install again.
$(VENV)/torch.stamp:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
		echo "edgekit needs Python 3.10 or later: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PIP) "pip>=23"
	$(PIP) --no-deps "$(TORCH)" || { echo "pip offers no $(TORCH): trying PyTorch's own index."; \
		$(PIP) --no-deps --index-url $(TORCH_INDEX) "$(TORCH)"; }
	echo "$(TORCH)" > $(VENV)/constraints.txt
	@touch $@

$(VENV)/run.stamp: $(VENV)/torch.stamp pyproject.toml
	$(PIP_KEEP_TORCH) --editable ".[all]"
	@touch $@

$(VENV)/dev.stamp: $(VENV)/run.stamp
	$(PIP_KEEP_TORCH) --editable ".[all,dev]"
	$(PIP) --no-deps $(ULTRALYTICS)
	@touch $@
