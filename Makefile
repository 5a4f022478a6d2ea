# Everything that one does with the project. `make help` lists the targets.
SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PROTOS := $(shell find protos/notify -name '*.proto' -o -name 'service_config.json' 2>/dev/null)
DISTRIBUTIONS := protos services/common services/api-gateway services/notifications services/letters services/providers services/admin deploy/local
PROJECT_FILES := $(addsuffix /pyproject.toml,$(DISTRIBUTIONS))

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z%-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  %-18s %s\n", $$1, $$2}'

$(VENV)/.packages: requirements.txt
	@command -v $(PYTHON) >/dev/null || { echo "make: no $(PYTHON) found; install Python 3.11 or newer, or name one: make PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "make: $(PYTHON) is $$($(PYTHON) -V 2>&1); Python 3.11 or newer is needed, name one: make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "make: $(PYTHON) can't make virtual environments; install its venv module (Debian: apt-get install python3-venv)"; exit 1; }
	@echo "setup: installing the pinned packages into $(VENV) (about a minute)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@touch $@

$(VENV)/.projects: $(VENV)/.packages $(PROJECT_FILES)
	@echo "setup: linking the project's own distributions"
	@mkdir -p protos/gen/notify
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation $(addprefix -e ./,$(DISTRIBUTIONS))
	@touch $@

protos/gen/.built: $(VENV)/.projects protos/build_protos.py $(PROTOS)
	@$(BIN)/python protos/build_protos.py
	@touch $@

.PHONY: setup
setup: protos/gen/.built ## make the virtual environment and the stubs

.PHONY: lock
lock: $(VENV)/.packages ## pin requirements.in into requirements.txt, with hashes
	$(BIN)/uv pip compile --generate-hashes --no-emit-index-url --universal --python-version 3.11 --quiet requirements.in -o requirements.txt
