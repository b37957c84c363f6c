# `make` lists the targets. Nothing to install by hand but python3 (3.11 or newer) and make.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# A uv that is there already is used; where there is none, one of our own is brought.
UV := $(shell command -v uv 2>/dev/null || echo .uv/bin/uv)
# pip trusts what the machine trusts, such as a company's own authority; uv does so only when it is told to.
ifneq ($(wildcard /etc/ssl/certs/ca-certificates.crt),)
export UV_SYSTEM_CERTS ?= true
endif
export SAM_CLI_TELEMETRY := 0
# Tests and local containers start many interpreters, which should not compile the same files each time.
export PYTHONDONTWRITEBYTECODE :=

ONLY ?=
.PHONY: help setup demo test test-docker test-oracle test-toolkit chaos chaos-mutants check invoke build local bench bench-docs lock catalog format clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(VENV)/.installed  ## install everything that the other targets need, into .venv

.uv/bin/uv:
	$(PYTHON) -m venv .uv
	.uv/bin/python -m pip install --quiet --require-hashes -r requirements/uv.txt

$(VENV)/.installed: requirements/dev.txt requirements/catalog.txt pyproject.toml | $(filter .uv/bin/uv,$(UV))
	@$(PYTHON) -c 'import sys; sys.exit("Modelgate needs Python 3.11 or newer, and $(PYTHON) is " + sys.version.split()[0] + ": call make PYTHON=python3.12, say" if sys.version_info < (3, 11) else 0)'
	$(UV) venv --quiet --allow-existing --python "$$(command -v $(PYTHON))" $(VENV)
	@# sync installs exactly what is listed: of the catalog's source the data, not the 300 MB that it would need to run
	VIRTUAL_ENV=$(VENV) $(UV) pip sync --quiet --require-hashes --compile-bytecode requirements/dev.txt requirements/catalog.txt
	VIRTUAL_ENV=$(VENV) $(UV) pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup  ## the whole story on the local cloud; with a Docker Engine also source, image, container, prediction
	$(BIN)/python -m examples.iris.demo
	$(BIN)/python -m examples.studio.demo
	$(BIN)/python -m examples.decision_trees.demo

test: setup  ## every test; no AWS account, no Docker
	LOCALCLOUD_TRAINING_PYTHON= $(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder

test-docker: setup $(filter .uv/bin/uv,$(UV))  ## what needs a Docker Engine: builds, containers that serve, sam local invoke and start-lambda
	$(BIN)/pytest tests/docker -n 2 --dist loadfile --no-loadscope-reorder

test-oracle: .venv-oracle/.installed  ## the catalog of images against AWS's own resolver, over every family
	PYTHONPATH=layers/core:tests .venv-oracle/bin/python -m oracle

test-toolkit: .venv-toolkit/.installed  ## training scripts by SageMaker's own toolkit and without it, variable by variable; needs a C compiler
	$(BIN)/pytest tests/toolkit tests/integration/test_local_cloud_training.py

.venv-toolkit/.installed: requirements/toolkit.txt | setup
	@command -v cc >/dev/null || { echo "SageMaker's training toolkit has a module in C: install a C compiler, as by apt-get install gcc libc6-dev" >&2; exit 1; }
	$(UV) venv --quiet --clear --python "$$(command -v $(PYTHON))" .venv-toolkit
	VIRTUAL_ENV=.venv-toolkit $(UV) pip sync --quiet --require-hashes --compile-bytecode \
		--build-constraint requirements/toolkit.txt requirements/toolkit.txt
	@touch $@

# AWS's resolver takes 300 MB to run. Nothing else needs them, so they are kept out of everybody's .venv.
.venv-oracle/.installed: requirements/oracle.txt | setup
	$(UV) venv --quiet --clear --python "$$(command -v $(PYTHON))" .venv-oracle
	VIRTUAL_ENV=.venv-oracle $(UV) pip sync --quiet --require-hashes --compile-bytecode requirements/oracle.txt
	@touch $@

SCHEDULES ?= 2000
SEED ?= 1
MUTANT ?=
chaos: setup  ## random schedules of the real handlers, and a crash after every call: SCHEDULES=2000 SEED=7 MUTANT=name
	$(BIN)/python -m tests.chaos --schedules $(SCHEDULES) --seed $(SEED) $(if $(MUTANT),--mutant $(MUTANT))

chaos-mutants: setup  ## known faults put in one at a time: how many schedules until each is noticed
	$(BIN)/python -m tests.chaos --mutants --seed $(SEED)

check: setup  ## ruff, mypy, cfn-lint, sam validate, the house rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/cfn-lint --append-rules tools/cfn_rules -- template.yaml
	AWS_DEFAULT_REGION=eu-central-1 $(BIN)/sam validate --lint --template template.yaml

invoke: setup $(filter .uv/bin/uv,$(UV))  ## sam local invoke beside a local cloud: FUNCTION=model_uploaded EVENT=events/model_uploaded/artifact.json
	$(BIN)/python -m tools.sam_local $(FUNCTION) $(EVENT) $(if $(URL),--url $(URL))

build: setup  ## what Lambda gets, by sam build; fails when it comes near Lambda's limits
	$(BIN)/python -m tools.build

local: setup  ## the local cloud, until interrupted
	$(BIN)/modelgate local up

bench: setup $(filter .uv/bin/uv,$(UV))  ## measure, and write build/bench.json: ONLY="cold_start calls" measures these alone
	$(BIN)/python -m bench $(ONLY)

bench-docs: setup  ## docs/performance.md of what was measured last
	$(BIN)/python -m bench.page

catalog: setup  ## generate the catalog of prebuilt images again
	$(BIN)/python -m tools.catalog

lock: $(UV)  ## resolve the dependencies anew, within pyproject.toml and layers/core/requirements.in
	$(UV) pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--all-extras --group dev --group serving pyproject.toml --output-file requirements/dev.txt
	$(UV) pip compile --quiet --upgrade --python-version 3.13 --python-platform x86_64-manylinux_2_28 --generate-hashes \
		--no-header --no-annotate --constraint requirements/dev.txt layers/core/requirements.in \
		--output-file layers/core/requirements.txt
	$(UV) pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		requirements/catalog.txt --output-file requirements/oracle.txt
	$(UV) pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--constraint requirements/dev.txt requirements/toolkit.in --output-file requirements/toolkit.txt
	for peer in sagemaker mlflow; do \
		$(UV) pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header \
			--no-annotate requirements/peers-$$peer.in --output-file requirements/peers-$$peer.txt; \
	done

format: setup  ## format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:  ## remove what was built and installed
	rm -rf .venv .venv-oracle .venv-toolkit .uv .aws-sam build *.egg-info
