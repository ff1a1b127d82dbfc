# Ironloop. `make` prints the targets; each sets up what it needs by itself.

PYTHON ?= python3
VENV := .venv/bin
WORKERS ?= 2

.DEFAULT_GOAL := help
.PHONY: help setup demo up status down token call logs replay test bench load seed faults fuzz lint proto

help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## install everything into .venv and .local (PYTHON=python3.12 picks another Python)
	@$(PYTHON) infra/local/bootstrap.py

demo: setup ## run the closed loop on a stack of its own and prove it (FLEET=page.xml, KEEP=1)
	@$(VENV)/python -m infra.local.demo $(if $(FLEET),--fleet "$(FLEET)") $(if $(KEEP),--keep)

up: setup ## start PostgreSQL, Kafka and every service (SERVICES="parties settlement": a part)
	@$(VENV)/python -m infra.local.topology up $(SERVICES)

status: setup ## show what runs, whether it serves, and what waits
	@$(VENV)/python -m infra.local.topology status

down: setup ## stop everything that `make up` started
	@$(VENV)/python -m infra.local.topology down

token: setup ## print a token of the local issuer: make token PARTY="legal name" ROLE=BUYER
	@$(VENV)/python -m infra.local.topology run parties token --party "$(PARTY)" --role "$(ROLE)"

call: setup ## call an rpc: make call RPC=parties.PartiesService/ListParties DATA='{}' (TOKEN set)
	@$(VENV)/python -m infra.local.call "$(RPC)" '$(or $(DATA),{})' $(if $(SERVICE),--service "$(SERVICE)")

logs: setup ## show a log: make logs SERVICE=leasing (postgres, kafka and stack have one too)
	@$(VENV)/python -m infra.local.topology logs "$(SERVICE)"

replay: setup ## apply the events that a service has parked: make replay SERVICE=leasing
	@$(VENV)/python -m infra.local.topology run "$(SERVICE)" replay

test: setup ## run all tests on real PostgreSQL and Kafka (ARGS="-k ledger" picks, WORKERS=4)
	@echo "tests: unit, contract, integration and e2e, on $(WORKERS) workers"
	@$(VENV)/pytest -n $(WORKERS) --dist loadfile $(ARGS)

bench: setup ## measure, and write build/bench/*.json (ONLY=kit runs one)
	@$(VENV)/python -m infra.bench $(if $(ONLY),--only "$(ONLY)")

load: setup ## load a stack of its own and prove it: make load SCENARIO=s7 USERS=16 DURATION=60 (WEB=1)
	@$(VENV)/python -m loadtests load "$(or $(SCENARIO),batches)" $(if $(USERS),--users $(USERS)) \
		$(if $(DURATION),--duration $(DURATION)) $(if $(LOOP),--loop $(LOOP)) \
		$(if $(RATE),--rate $(RATE)) $(if $(SIZE),--size $(SIZE)) $(if $(STACK),--stack $(STACK)) \
		$(if $(WEB),--web) $(if $(KEEP),--keep)

seed: setup ## make machines, parties and accounts: make seed SIZE=small (medium, large, a number)
	@$(VENV)/python -m loadtests seed --size "$(or $(SIZE),small)" $(if $(STACK),--stack $(STACK))

faults: setup ## break a stack under load and hold it to account (SEED=0 ROUNDS=20)
	@$(VENV)/python -m loadtests.faults --seed $(or $(SEED),0) --rounds $(or $(ROUNDS),20)

fuzz: setup ## send 10,000 generated requests to every rpc (EACH=50000, SEED=7)
	@IRONLOOP_FUZZ=$(or $(EACH),10000) $(if $(SEED),IRONLOOP_FUZZ_SEED=$(SEED)) \
		$(VENV)/pytest -n $(WORKERS) --timeout 0 tests/contract/test_generated_requests.py

lint: setup ## run every check of code, contract, migrations and manifests (ONLY=mypy runs one)
	@$(VENV)/python -m infra.gate $(ONLY)

proto: setup ## build the contract's stubs anew into .venv
	@rm -f .venv/ironloop/stubs
	@$(PYTHON) infra/local/bootstrap.py
