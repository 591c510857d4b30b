# Every target is one step that people and the pipeline run alike. `make help` lists them.
SHELL := /bin/bash
ITEST := scripts/itest
PYTHON := .venv/bin/python
JUNIT := .itest/junit
PYTEST := $(PYTHON) -m pytest
PYTEST_ENGINE = DOCKER_HOST="$$(scripts/bootstrap engine)" $(PYTEST)

ifdef AIRFLOW
# Whatever boots a mirror or builds images does so for this version, or the newest of this line.
export ITEST_AIRFLOW := $(AIRFLOW)
endif

.DEFAULT_GOAL := help

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

bootstrap: ## an engine and the Python environment, where they are missing
	scripts/bootstrap

.PHONY: python
python:
	@scripts/bootstrap python

itest: ## boot the mirror and run the integration tests on it (the main job; AIRFLOW=2.11: on that line)
	$(ITEST) run

test: lint types unit contract image-test syncer-containers itest ## everything but the slow tests

test-slow: python ## the tests that take minutes each
	$(PYTEST) -s -m slow syncer/tests
	$(PYTEST_ENGINE) -s -m slow syncer/e2e
	$(ITEST) image-test --slow
	$(ITEST) run --slow -n 0

lint: python ## style, imports, generated files, the pipeline's schema
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/lint-imports
	.venv/bin/check-jsonschema --builtin-schema vendor.gitlab-ci .gitlab-ci.yml
	.venv/bin/itest compose --check
	scripts/check-hygiene

format: python ## let ruff correct what it can
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

types: python ## mypy, strict
	.venv/bin/mypy

unit: python ## tests that need no engine
	$(PYTEST) -n auto -m "not slow" --junitxml=$(JUNIT)/unit.xml tests/unit tests/content/pure syncer/tests

test-syncer: python ## the syncer: on real git repositories, and its image in real containers (SLOW=1: hundreds of kills)
	$(PYTEST) $(if $(SLOW),-s -m slow,-n auto -m "not slow") syncer/tests
	$(PYTEST_ENGINE) $(if $(SLOW),-s -m slow,-n 2 -m "not slow") syncer/e2e

syncer-containers: python ## the part of test-syncer that needs an engine
	$(PYTEST_ENGINE) -n 2 -m "not slow" --junitxml=$(JUNIT)/syncer.xml syncer/e2e

bench-syncer: python ## a sync of ten changed files beside git fetch + rsync --checksum
	$(PYTHON) syncer/bench

.PHONY: contract
contract: python
	$(PYTEST) -p no:randomly --junitxml=$(JUNIT)/contract.xml tests/contract

test-mocks: contract ## official clients and Airflow's hooks against the mocks, held against published schemas
	$(ITEST) image-test -- -k unmodified_hooks

content-coverage: python ## how much of content/ its own tests run, in the local Airflow and without it
	scripts/content-coverage

images: ## build or pull every image
	$(ITEST) images

image-test: ## tests of the image, and of content and CockroachDB support inside it
	$(ITEST) image-test

sql-audit: ## run the tests, and tell which of their statements are risky on CockroachDB; fails on new ones
	$(ITEST) sql-audit

up: ## a mirror to look at, which tests then attach to (CONTENT_REV=..., AIRFLOW=2.11, AIRFLOW_IMAGE=...)
	$(ITEST) up

down: ## remove what `make up` started
	$(ITEST) down

bench: ## measure boot, attach, reset, runs (PEER=quickstart beside it; BENCH="--suite" and the like)
	@scripts/bootstrap python
	DOCKER_HOST="$$(scripts/bootstrap engine)" $(PYTHON) -m bench $(if $(PEER),--peer $(PEER)) $(BENCH)

bench-compare: ## the same for the revision BASE=... and for this checkout, as ratios
	@scripts/bootstrap python
	DOCKER_HOST="$$(scripts/bootstrap engine)" $(PYTHON) -m bench.revisions $(BASE) -- $(BENCH)

compose: python ## regenerate compose/*.yaml
	.venv/bin/itest compose

doctor: ## engine, images, database, registry
	$(ITEST) doctor

bench-mocks: ## what the mocks carry: 500 requests a second from 50 connections for a minute
	@scripts/bootstrap python
	DOCKER_HOST="$$(scripts/bootstrap engine)" $(PYTHON) -m bench.mocks_load

.PHONY: help bootstrap itest test test-mocks test-slow test-syncer lint format types unit images image-test sql-audit up \
	down content-coverage bench bench-compare bench-mocks bench-syncer compose doctor syncer-containers
