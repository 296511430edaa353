# `make help` lists the targets; the logic is in scripts/.
SHELL := /bin/bash
export PYTHON ?=
# Not the user's own: a copy of the collection there would be found before this checkout.
export ANSIBLE_HOME ?= $(CURDIR)/build/ansible
PYTEST = .venv/bin/python -m pytest

.DEFAULT_GOAL := help
.PHONY: help install demo test lint unit sanity integration playbooks molecule lab benchmark clean dev

help: ## This list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20

install: ## A virtualenv (.venv) with Ansible, and this checkout linked into it as the collection
	@scripts/venv.sh .venv run
	@echo 'Ready: .venv/bin/ansible-playbook oncall.postgresql.triage -i INVENTORY'

demo: ## A real PostgreSQL, a program that leaks its connections, the verdict, and what mends it (no Docker)
	@scripts/venv.sh .venv run demo
	@.venv/bin/python demo/demo.py

test: ## Everything CI runs, to its end whatever fails; logs in build/logs (STAGES="lint unit" runs only those)
	@scripts/with-docker.sh scripts/test.sh $(STAGES)

dev: ## The virtualenv with all that the tests use
	@scripts/venv.sh .venv run demo dev

lint: dev ## ansible-lint, ruff, mypy, antsibull, galaxy-importer
	@scripts/lint.sh

unit: dev ## Unit tests
	@$(PYTEST) tests/unit

sanity: dev ## ansible-test sanity
	@scripts/sanity.sh

integration: dev ## The SQL and the wire against real servers
	@scripts/install-postgresql.sh
	@scripts/install-notified.sh
	@scripts/with-docker.sh $(PYTEST) -n 2 --dist loadfile tests/integration

playbooks: dev ## The playbooks as a user runs them
	@scripts/install-postgresql.sh
	@scripts/install-notified.sh
	@scripts/with-docker.sh $(PYTEST) -n 3 --dist loadfile tests/playbooks tests/procedures

molecule: dev ## The Molecule scenarios
	@scripts/with-docker.sh scripts/molecule.sh

lab: dev ## Real faults on a real Compose stack (Docker)
	@scripts/with-docker.sh $(PYTEST) -n 2 tests/lab

benchmark: dev ## Time to verdict and to mend, beside what others take (Docker; ARGS="--only pool --runs 7")
	@scripts/venv.sh .venv-benchmark benchmark
	@scripts/with-docker.sh .venv/bin/python -m tests.benchmark $(ARGS)

clean: ## Remove what the targets above made in this checkout
	@rm -rf .venv .venv-* build .mypy_cache .ruff_cache .pytest_cache .ansible
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
