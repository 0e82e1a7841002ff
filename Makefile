# One verb a target. Each sets up what it needs when it is missing, and never twice.
PYTHON ?= $(firstword $(foreach name,python3.11 python3.12 python3.13 python3 python,$(shell $(name) -c 'import sys; print("$(name)" if sys.version_info >= (3, 11) else "")' 2>/dev/null)))
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
SETUP_LOG := $(VENV)/setup.log
STARTER = $${FINETUNE_HOME:-$$HOME/.finetune-studio}/models/starter/starter.json
STARTUP_ROUNDS ?= 9

.DEFAULT_GOAL := help
.PHONY: help setup starter demo studio test test-long test-plain check check-pages format docs screenshots bench-startup bench-page bench-load bench-chat bench-evaluate bench-export bench-train bench-methods bench-estimate bench-data gpu-check soak soak-faults clean

help:  ## Show this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(READY): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed, and none was found. Install it, or name it: make setup PYTHON=/path/to/python" >&2; exit 2; }
	@echo "Setting up $(VENV) with $(PYTHON) (once; a minute or two) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { echo "The virtual environment could not be made. On Debian and Ubuntu: apt install python3-venv" >&2; exit 2; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	@rm -f $(SETUP_LOG).code; ( $(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[dev]' > $(SETUP_LOG) 2>&1; echo $$? > $(SETUP_LOG).code ) & \
	begun=$$(date +%s); while [ ! -s $(SETUP_LOG).code ]; do sleep 1; passed=$$(( $$(date +%s) - begun )); \
	  if grep -q '^Installing' $(SETUP_LOG); then doing="installing them"; else doing="fetching them"; fi; \
	  words="  $$(grep -c '^Collecting' $(SETUP_LOG)) packages so far, $$doing ($$passed s)"; \
	  if [ -t 1 ]; then printf '\r%s ' "$$words"; elif [ $$(( passed % 20 )) = 0 ]; then echo "$$words"; fi; done; [ ! -t 1 ] || echo; \
	code=$$(cat $(SETUP_LOG).code); rm -f $(SETUP_LOG).code; [ $$code = 0 ] || { tail -n 20 $(SETUP_LOG); \
	echo "Not everything could be installed. The whole log is $(SETUP_LOG); 'make setup' tries again." >&2; exit 2; }
	@touch $@

starter: $(READY)
	@test -f "$(STARTER)" || $(BIN)/finetune download starter > /dev/null

setup: $(READY) starter  ## Create .venv and fetch the starter model (both once)
	@echo "Ready. Try 'make demo', or '$(BIN)/finetune --help'."

demo: $(READY) starter  ## Train the starter on the sample, and compare base and tuned
	@$(BIN)/finetune demo

studio: $(READY) starter  ## Open the studio in the browser
	@$(BIN)/finetune studio

# Story first: what takes longest is not what is waited for at the end.
test: $(READY) starter  ## Run the tests that every change has to pass: fifteen minutes on two cores
	@$(BIN)/python -m pytest -m "not long and not alone" -n 2 --dist loadfile --no-loadscope-reorder
	@$(BIN)/python -m pytest -m "alone and not long"

test-long: $(READY) starter  ## Run what takes minutes: the demo, timed steps, more kills and races; fifteen minutes more
	@$(BIN)/python -m pytest -m long -n 2 --dist loadfile --no-loadscope-reorder
	@FAULT_KILLS=8 FAULT_METHOD_KILLS=10 FAULT_QUEUE_TRIES=20 FAULT_QUEUE_KILLS=3 $(BIN)/python -m pytest -n 2 --dist loadfile tests/faults/test_trainer_kills.py tests/faults/test_queue.py

test-plain: $(READY)  ## Run the quick tests: no torch, no processes
	@$(BIN)/python -m pytest -m "not process and not tiny and not story"

# What checks the scripts of the pages needs Node; they themselves need nothing.
NODE := $(shell node -e 'if (process.versions.node.split(".")[0] >= 20) console.log("node")' 2>/dev/null)
node_modules/.ready: package.json
	@npm install --no-audit --no-fund --no-package-lock --silent && touch $@ || echo "The tools that check the scripts of the pages could not be installed." >&2

check-pages: $(if $(NODE),node_modules/.ready)
	@if [ -f node_modules/.ready ]; then npm run --silent check > node_modules/.log 2>&1 || { cat node_modules/.log; exit 1; }; \
	else echo "Skipped: the scripts of the pages are checked with Node 20 or newer, and tools from npm."; fi

check: $(READY) check-pages  ## Lint, format, types and fresh documents: what CI runs before the tests
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/python docs/generate.py --check

format: $(READY) $(if $(NODE),node_modules/.ready)  ## Format the code and fix what the linter can fix
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .
	@$(if $(NODE),npm run --silent format > /dev/null)

docs: $(READY)  ## Write the documents that are derived from the code
	@$(BIN)/python docs/generate.py

bench-startup: $(READY) starter  ## Measure 'finetune --help', 'import interfaces', and Start to first point
	@$(BIN)/python bench/startup.py --rounds $(STARTUP_ROUNDS)

screenshots: $(READY) starter  ## Take the pictures in docs/images, of a studio in which the demo has been run
	@$(BIN)/python docs/screenshots.py

bench-load: $(READY) starter  ## Measure answers to 100 clients, and a training run that 20 tabs watch
	@$(BIN)/python bench/load.py

bench-page: $(READY) starter  ## Measure what the pages send, shift and cost, in Chromium
	@$(BIN)/python bench/page.py

bench-chat: $(READY) starter  ## Measure how fast a chat answers, beside a script with transformers
	@$(BIN)/python bench/chat.py

bench-evaluate: $(READY) starter  ## Measure how fast an evaluation answers, beside generate one by one
	@$(BIN)/python bench/evaluate.py

bench-export: $(READY)  ## Measure how long an export takes beside copying the files, and its memory
	@$(BIN)/python bench/export.py

bench-train: $(READY) starter  ## Measure training beside the plain Trainer and TRL (DATA=file; half an hour)
	@$(BIN)/python bench/train.py $(if $(DATA),--data $(DATA))
	@$(BIN)/python bench/train.py $(if $(DATA),--data $(DATA)) --slice
	@$(BIN)/python bench/train.py $(if $(DATA),--data $(DATA)) --profile

bench-methods: $(READY) starter  ## Measure DPO, KTO and ORPO beside TRL (DATA=file of pairs; half an hour)
	@$(BIN)/python bench/methods.py $(if $(DATA),--data $(DATA))

bench-estimate: $(READY) starter  ## Measure how far estimates of memory are off, by 24 whole runs of settings drawn afresh (forty minutes)
	@$(BIN)/python bench/runs.py

gpu-check: $(READY)  ## Show what a CUDA card makes of all this, in six minutes; dry: GPU_CHECK='--device cpu --tiny'
	@$(BIN)/python bench/gpu_check.py $(GPU_CHECK)

bench-data: $(READY) starter  ## Measure a million rows through the studio, beside the datasets library
	@$(BIN)/python bench/data.py --tokens

soak: $(READY) soak-faults  ## The long forms of tests: those of soak-faults, a million rows with faults, 10,000 mutated files, every hostile pair (an hour)
	@FUZZ_FILES=10000 PLANTED_ROWS=1000000 $(BIN)/python -m pytest --timeout 1800 tests/data tests/trainer/data/test_inspection.py tests/trainer/tokens/test_rendering.py tests/trainer/data/test_limits.py

# Each line is bounded by itself and can be run alone; together about three quarters of an hour.
SOAK = $(BIN)/python -m pytest -s -q --timeout 1800
soak-faults: $(READY)  ## 200 kills and 200 TERMs of the trainer, 100 of the studio, 50 power losses, 100 bad disks, 50 stops
	@FAULT_KILLS=200 FAULT_METHOD_KILLS=100 $(SOAK) tests/faults/test_trainer_kills.py
	@FAULT_POWER_LOSSES=50 $(SOAK) tests/faults/test_power_losses.py
	@FAULT_FULL_DISKS=50 FAULT_BAD_WRITES=50 $(SOAK) tests/faults/test_bad_disks.py
	@FAULT_STOPS=50 FAULT_METHOD_STOPS=9 $(SOAK) tests/faults/test_stops.py
	@FAULT_STUDIO_KILLS=100 FAULT_PID_REUSES=20 $(SOAK) tests/faults/test_studio_kills.py

clean:  ## Remove .venv and caches; runs, datasets and models stay
	@rm -rf $(VENV) node_modules .mypy_cache .pytest_cache .ruff_cache
