# Everything that one does with the project. `make help` lists the targets.
SHELL := /bin/bash
.DEFAULT_GOAL := help
# The tests start some hundred processes, each of which would compile the project anew.
unexport PYTHONDONTWRITEBYTECODE

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PROTOS := $(shell find protos/notify -name '*.proto' -o -name 'service_config.json' 2>/dev/null)
DISTRIBUTIONS := protos services/common services/api-gateway services/notifications services/letters services/providers services/admin services/testing deploy/local deploy/capacity
SERVICES := common testing api-gateway notifications letters providers admin
PROJECT_FILES := $(addsuffix /pyproject.toml,$(DISTRIBUTIONS))

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  %-18s %s\n", $$1, $$2}'

$(VENV)/.packages: requirements.txt
	@command -v $(PYTHON) >/dev/null || { echo "make: no $(PYTHON) found; install Python 3.11 or newer, or name one: make PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "make: $(PYTHON) is $$($(PYTHON) -V 2>&1); Python 3.11 or newer is needed, name one: make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "make: $(PYTHON) can't make virtual environments; install its venv module (Debian: apt-get install python3-venv)"; exit 1; }
	@echo "setup: installing the pinned packages into $(VENV) (about a minute)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes -r requirements.txt
	@touch $@

$(VENV)/.projects: $(VENV)/.packages $(PROJECT_FILES)
	@echo "setup: linking the project's own distributions"
	@mkdir -p protos/gen/notify
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation $(addprefix -e ./,$(DISTRIBUTIONS))
	@touch $@

protos/gen/.built: $(VENV)/.projects protos/build_protos.py $(PROTOS)
	@$(BIN)/python protos/build_protos.py
	@touch $@

.PHONY: setup
setup: protos/gen/.built ## make the virtual environment and the stubs

.PHONY: lock
lock: $(VENV)/.packages ## pin requirements.in into requirements.txt, with hashes
	$(BIN)/uv pip compile --generate-hashes --no-emit-index-url --universal --python-version 3.11 --quiet requirements.in -o requirements.txt

# --- running -----------------------------------------------------------------------------------------------------

PORT ?= 6011
COPIES ?= 1

.PHONY: run
run: setup ## start the whole platform on this machine and send three demo messages (PORT=6011, COPIES=2 of each process)
	@$(BIN)/python -m notify_local run --port $(PORT) --copies $(COPIES)

.PHONY: demo
demo: setup ## send a text, an email and a letter through the platform that `make run` started
	@$(BIN)/python -m notify_local demo

CHANNEL ?= sms
NAME ?=
SUBJECT ?=
CONTENT ?=
export CHANNEL NAME SUBJECT CONTENT
.PHONY: template
template: setup ## make a template: make template CHANNEL=sms NAME="Ready" CONTENT="Hello ((name))" [SUBJECT="…"]
	@$(BIN)/python -m notify_local template --channel "$$CHANNEL" --name "$$NAME" --subject "$$SUBJECT" --content "$$CONTENT"

CALL ?=
DATA ?= {}
SERVICE ?=
export CALL DATA SERVICE
.PHONY: rpc
rpc: setup ## call one method: make rpc CALL=notify.admin.v1.ServicesService/GetService DATA='{"serviceId": "…"}' [SERVICE=providers]
	@$(BIN)/python -m notify_local rpc "$$CALL" --data "$$DATA" --service "$$SERVICE"

.PHONY: certs
certs: setup ## make the development certificates of the local stack, if they are missing
	@$(BIN)/python -m notify_local certs

# --- checks ------------------------------------------------------------------------------------------------------

PYTHON_SOURCES := protos services deploy tests conftest.py
# What a changed proto is compared with: the last commit that others have, or where that is this one, the one before.
HEAD_COMMIT := $(shell git rev-parse --verify --quiet HEAD)
SHARED_COMMIT := $(shell git rev-parse --verify --quiet origin/main)
PROTO_BASE ?= $(if $(filter-out $(HEAD_COMMIT),$(SHARED_COMMIT)),$(SHARED_COMMIT),$(shell git rev-parse --verify --quiet HEAD^))

.PHONY: proto
proto: setup ## lint, format-check and breaking-check the protos, then build the stubs
	@$(BIN)/buf lint protos
	@$(BIN)/buf format --diff --exit-code protos
	@if [ -n "$(PROTO_BASE)" ]; then $(BIN)/buf breaking protos --against '.git#ref=$(PROTO_BASE),subdir=protos'; fi

.PHONY: fmt
fmt: setup ## format the code
	@$(BIN)/ruff format --quiet $(PYTHON_SOURCES)
	@$(BIN)/ruff check --quiet --fix $(PYTHON_SOURCES)
	@$(BIN)/buf format --write protos

.PHONY: lint
lint: setup ## ruff and the import contracts
	@$(BIN)/ruff format --check --quiet $(PYTHON_SOURCES)
	@$(BIN)/ruff check --quiet $(PYTHON_SOURCES)
	@$(BIN)/lint-imports --config pyproject.toml

.PHONY: types
types: setup ## mypy --strict over everything
	@$(BIN)/mypy --no-error-summary protos/build_protos.py services/*/src deploy/local/src deploy/capacity/src tests
	@printf '%s\n' $(SERVICES) | xargs -P 2 -I SERVICE sh -c 'echo "mypy services/SERVICE/tests" && cd services/SERVICE \
		&& $(CURDIR)/$(BIN)/mypy --no-error-summary --config-file $(CURDIR)/pyproject.toml tests'

.PHONY: test-unit
test-unit: setup ## tests that need nothing
	@$(BIN)/pytest -q services/*/tests/unit services/common/tests/content

.PHONY: test-integration
test-integration: setup ## tests of one service against real servers
	@$(BIN)/pytest -q -n 2 --dist loadscope services

.PHONY: test-contract
test-contract: setup ## tests of the contracts between the parts
	@$(BIN)/pytest -q tests/contract

.PHONY: test-e2e
test-e2e: setup ## tests of the whole house, real processes
	@$(BIN)/pytest -q tests/e2e tests/chaos tests/deploy

.PHONY: e2e
e2e: setup ## the end-to-end tests with COPIES=2 of each server and worker
	@NOTIFY_COPIES=$(COPIES) $(BIN)/pytest -q tests/e2e

CASES ?=
.PHONY: conformance
conformance: setup ## all recorded cases against the stack that `make run` started (PORT=6011, CASES='file …')
	@$(BIN)/python tests/conformance/run.py --base-url http://localhost:$(PORT) --workers $(if $(CASES),--cases $(CASES))

FUZZ_CASES ?= 200
FUZZ_SECONDS ?= 600
SEED ?=
.PHONY: fuzz
fuzz: setup ## requests made up from the public API's description, to a platform of their own: no answer that it does not describe, no 500 (FUZZ_CASES=200 of each operation, FUZZ_SECONDS=600, SEED=1)
	@GRPC_VERBOSITY=ERROR $(BIN)/python -m tests.harness.fuzzing --cases $(FUZZ_CASES) --seconds $(FUZZ_SECONDS) $(if $(SEED),--seed $(SEED))

.PHONY: count-lines
count-lines: setup ## lines per route of the admin web app, all told (ADR 0011)
	@$(BIN)/python tests/conformance/count_lines.py

.PHONY: test
test: proto lint types ## all checks and all tests
	@$(BIN)/python -m pytest -q -n 3 --dist loadscope

KINDS ?=
.PHONY: chaos
chaos: setup ## every kind of fault beside sends, then a census: none lost, none doubled (MESSAGES=700 a kind, KINDS='kill freeze-admin', COPIES=2)
	@NOTIFY_COPIES=$(COPIES) GRPC_VERBOSITY=ERROR $(BIN)/python -m tests.chaos.run $(if $(MESSAGES),--messages $(MESSAGES)) $(if $(KINDS),--kinds $(KINDS))

.PHONY: chaos-kills
chaos-kills: setup ## 10,000 sends while processes are killed at random, then a census (MESSAGES=10000, SEED of an earlier run, COPIES=2)
	@NOTIFY_COPIES=$(COPIES) GRPC_VERBOSITY=ERROR $(BIN)/python -m tests.chaos.kills $(if $(MESSAGES),--messages $(MESSAGES)) $(if $(SEED),--seed $(SEED))

.PHONY: cover
cover: setup ## tests of the services with their coverage
	@$(BIN)/coverage run --source services -m pytest -q services
	@$(BIN)/coverage report --skip-covered

.PHONY: audit
audit: setup ## licences and hashes of all packages; a bill of materials (CycloneDX) a service in .run/sbom/
	@$(BIN)/python deploy/docker/audit.py --folder .run/sbom --made "$$(git log -1 --format=%cI)"

.PHONY: verify-images
verify-images: setup ## install each service as its image does, start its processes so, and look
	@deploy/verify.sh

# --- measuring ---------------------------------------------------------------------------------------------------

REQUESTS ?= 4000
MESSAGES ?=
LETTERS ?= 200

.PHONY: bench-accept
bench-accept: setup ## requests accepted a second, beside a bare skeleton (REQUESTS=4000)
	@$(BIN)/python tests/load/bench_accept.py --requests $(REQUESTS)

.PHONY: bench-admin
bench-admin: setup ## 200 reads of the admin web app at once (REQUESTS=4000)
	@$(BIN)/python tests/load/bench_admin.py --requests $(REQUESTS)

.PHONY: bench-size
bench-size: setup ## how much room a message takes in the databases
	@$(BIN)/python tests/load/bench_size.py

.PHONY: bench-start
bench-start: setup ## seconds and processor time until each process is ready, memory at rest, modules imported
	@deploy/verify.sh --starts

ROWS ?= 100000

.PHONY: bench-bulk
bench-bulk: setup ## messages prepared and stored in bulk a second by one process (ROWS=100000)
	@$(BIN)/python tests/load/bench_bulk.py --rows $(ROWS)

.PHONY: bench-batch
bench-batch: setup ## rows of one batch accepted a second through the whole platform, and what each costs (ROWS=100000)
	@$(BIN)/python tests/load/bench_batch.py --rows $(ROWS) $(if $(MAX_COST),--max-cost $(MAX_COST))

.PHONY: bench-jobs
bench-jobs: setup ## rows of a spreadsheet that become messages a second, and what each costs (ROWS=100000)
	@$(BIN)/python tests/load/bench_jobs.py --rows $(ROWS)

.PHONY: bench-dispatch
bench-dispatch: setup ## messages handed to a provider stub a second, the whole way too (MESSAGES=20000)
	@$(BIN)/python tests/load/bench_dispatch.py $(if $(MESSAGES),--messages $(MESSAGES))

.PHONY: bench-render
bench-render: setup ## letters typeset a second (LETTERS=200)
	@$(BIN)/python services/letters/bench/bench_render.py --letters $(LETTERS)

.PHONY: bench-print-run
bench-print-run: setup ## letters from the start of a print run to the printer's queue a second (ROWS=100000)
	@$(BIN)/python tests/load/bench_print_run.py --rows $(ROWS)

BULK ?= 200000
.PHONY: bench-lanes
bench-lanes: setup ## how long a text waits while a job of another service is queued, and idle (BULK=200000, LANE=job or api for one case)
	@$(BIN)/python tests/load/bench_lanes.py --bulk $(BULK) $(if $(LANE),--lane $(LANE))

.PHONY: bench-content
bench-content: setup ## texts, emails, numbers and spreadsheet rows a second on one core
	@$(BIN)/python services/common/bench/bench_content.py

PRINT_ROWS ?= 150000
.PHONY: drill-print-run
drill-print-run: setup ## a print run whose processes are killed at random: is every letter printed once (PRINT_ROWS=150000)
	@$(BIN)/python tests/load/bench_print_run.py --rows $(PRINT_ROWS) --kill --no-comparison

.PHONY: drill-revoked-key
drill-revoked-key: setup ## how long a revoked key works while transactions stay open in other databases
	@$(BIN)/python tests/load/drill_revoked_key.py

.PHONY: drill-idle-bodies
drill-idle-bodies: setup ## 4,096 clients that owe one byte of a body, then 60 that owe one of 10 MB: who else waits
	@$(BIN)/python tests/load/drill_idle_bodies.py

TEXTS ?= 400
.PHONY: drill-ambiguous
drill-ambiguous: setup ## texts whose provider takes them and answers late, resets or answers nonsense: none is doubled (TEXTS=400)
	@$(BIN)/python tests/load/drill_ambiguous.py --texts $(TEXTS)

RATE ?= 40
.PHONY: drill
drill: setup ## three providers under load: one killed, one slow, all gone; a timeline and its bounds (RATE=40 a second)
	@$(BIN)/python tests/load/drill_failover.py --rate $(RATE)

HANG_SECONDS ?= 30
.PHONY: drill-admin-hangs
drill-admin-hangs: setup ## what sends come to while admin hangs instead of dying (HANG_SECONDS=30)
	@$(BIN)/python tests/load/drill_admin_hangs.py --seconds $(HANG_SECONDS)

.PHONY: drill-silent-database
drill-silent-database: setup ## how long each service goes without its database when its connections fall silent
	@$(BIN)/python tests/load/drill_silent_database.py

FROM ?= HEAD~5
.PHONY: drill-upgrade
drill-upgrade: setup ## replace every process under load, from a commit's code and schema to this one's, and back (FROM=HEAD~5, RATE=40)
	@GRPC_VERBOSITY=ERROR $(BIN)/python -m tests.load.drill_upgrade --from $(FROM) --rate $(RATE)

.PHONY: drill-restore
drill-restore: setup ## each service with a feed is moved into a new database server by its backup: nothing is lost or doubled
	@GRPC_VERBOSITY=ERROR $(BIN)/python -m tests.load.drill_restore

.PHONY: drill-stuck-feed
drill-stuck-feed: setup ## a transaction that stays open holds a feed back: who is named, and its end
	@GRPC_VERBOSITY=ERROR $(BIN)/python -m tests.load.drill_stuck_feed

.PHONY: drill-full-disk
drill-full-disk: setup ## full disks of PostgreSQL, the object store and the gateway's scratch files, under sends (as root)
	@GRPC_VERBOSITY=ERROR $(BIN)/python -m tests.load.drill_full_disk

.PHONY: drill-poisoned-row
drill-poisoned-row: setup ## a row that its worker can't handle: found, mended and put back, while others go on
	@GRPC_VERBOSITY=ERROR $(BIN)/python -m tests.load.drill_poisoned_row

.PHONY: drill-performance
drill-performance: setup ## whether /performance.json says what a stopwatch outside says
	@GRPC_VERBOSITY=ERROR $(BIN)/python -m tests.load.drill_performance

.PHONY: drill-rotation
drill-rotation: setup ## a new authority, new certificates and a new key of secrets under sends
	@GRPC_VERBOSITY=ERROR $(BIN)/python -m tests.load.drill_rotation

READER_ROWS ?= 1000000
.PHONY: drill-readers
drill-readers: setup ## readers of a service with a million messages: does another tenant wait (READER_ROWS=1000000)
	@$(BIN)/python tests/load/drill_readers.py --rows $(READER_ROWS)

# --- housekeeping ------------------------------------------------------------------------------------------------

S ?=
M ?=
.PHONY: revision
revision: setup ## an empty migration of a service: make revision S=admin M=add_something
	@$(BIN)/python -m notify_testing.revision '$(S)' '$(M)'

.PHONY: clean
clean: ## remove everything that make made, the local stack's data included
	@rm -rf $(VENV) .run protos/gen .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
