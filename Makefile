# One line per target; the continuous integration runs the same ones. Python 3.11 and make are all it needs on Debian 12.
PYTHON ?= python3
BIN := .venv/bin
BUILDER ?= docker
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)

.PHONY: help setup demo dev test test-faults bench bench-growth bench-overload bench-report bench-feed bench-journal peers check schema rules check-alerts test-alerts dashboards pictures definitions image test-deploy clean

help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## the locked environment in .venv
	@$(PYTHON) deploy/setup.py

demo: setup ## broker, simulated exchanges and a worker on this machine; commands over four exchanges
	@$(PYTHON) deploy/ensure.py rabbitmq && $(BIN)/order-router demo

dev: setup ## broker, simulated exchanges, worker and feeds until Ctrl-C; .order-router-dev keeps what they store
	@$(PYTHON) deploy/ensure.py rabbitmq && $(BIN)/order-router dev

test: setup ## every test that is not marked slow, on a real RabbitMQ, PostgreSQL, Prometheus, Go and Node
	@$(PYTHON) deploy/ensure.py rabbitmq postgresql prometheus alertmanager go && $(PYTHON) -m deploy.node_packages && $(BIN)/pytest -n 4 --dist loadfile

test-faults: setup ## the whole fault table and every crash point, about seven minutes
	@$(PYTHON) deploy/ensure.py rabbitmq postgresql && $(BIN)/pytest -m "faults or slow" tests/faults

bench: peers ## the router beside a bare script, FastStream and Celery, with all curves; about an hour and a half
	@$(PYTHON) deploy/ensure.py rabbitmq postgresql && $(BIN)/python -m tests.bench

bench-growth: peers ## what a command costs over journal rows, accounts, workers and the venue's latency
	@$(PYTHON) deploy/ensure.py rabbitmq postgresql && $(BIN)/python -m tests.bench --only growth

bench-overload: peers ## three times the sustainable rate for a minute
	@$(PYTHON) deploy/ensure.py rabbitmq postgresql && $(BIN)/python -m tests.bench --only overload

bench-report: peers ## tests/bench/README.md and its pictures, from tests/bench/results
	@$(BIN)/python -m tests.bench.report

bench-feed: setup ## 1,000 order events a second, and what the router adds to the venue's own stream
	@$(PYTHON) deploy/ensure.py rabbitmq && $(BIN)/python -m tests.bench.feed_load

bench-journal: setup ## the cost of a command with no and with a million rows in the journal
	@$(PYTHON) deploy/ensure.py postgresql && $(BIN)/pytest -q -s -m slow tests/integration/journal/test_growth.py

peers: setup ## what the load benchmark compares the router with, in .tools/peers
	@$(PYTHON) -m deploy.peers

check: setup ## lint, format, types, layers, and that schemas, rules and dashboards are what the code says
	@$(BIN)/ruff check && $(BIN)/ruff format --check && $(BIN)/mypy && $(BIN)/lint-imports && $(BIN)/order-router schema --check && $(BIN)/python -m deploy.prometheus.render --check && $(BIN)/python -m grafana.dashboards --check

rules: setup ## write deploy/prometheus/rules.yaml from its source, and the chart's copy of it
	@$(BIN)/python -m deploy.prometheus.render && cp deploy/prometheus/rules.yaml deploy/chart/files/rules.yaml

check-alerts: setup ## the alert rules by promtool, with their unit tests; Alertmanager's configuration; the runbook
	@$(PYTHON) deploy/ensure.py prometheus alertmanager && $(BIN)/pytest -q tests/unit/deploy/test_alert_rules.py

test-alerts: setup ## bring each alert about for real, under a Prometheus and an Alertmanager
	@$(PYTHON) deploy/ensure.py rabbitmq postgresql prometheus alertmanager && $(BIN)/pytest -m slow tests/alerts

pictures: setup ## draw the dashboards with real data into grafana/pictures; fetches 650 MB of Grafana's panels, and Chromium
	@$(PYTHON) deploy/ensure.py rabbitmq prometheus chromium && $(PYTHON) -m deploy.node_packages tests/pictures && $(BIN)/python -m tests.pictures

dashboards: setup ## write grafana/*.json from their source
	@$(BIN)/python -m grafana.dashboards

definitions: setup ## write deploy/rabbitmq/definitions.json from its source
	@$(BIN)/python -m deploy.rabbitmq.render

image: ## build order-router:VERSION from deploy/Dockerfile, with docker, or what BUILDER names
	@$(BUILDER) build --file deploy/Dockerfile --build-arg VERSION=$(VERSION) --build-arg COMMIT=$$(git rev-parse HEAD) --tag order-router:$(VERSION) .

test-deploy: setup ## image, chart, RabbitMQ 4, and two versions on one journal; as root all of it, in about five minutes
	@$(PYTHON) deploy/ensure.py rabbitmq postgresql buildah && $(PYTHON) -m deploy.node_packages tests/deploy/node && $(PYTHON) -m deploy.deploy_checks && $(PYTHON) -m deploy.newer_debian && .tools/deploy-checks/bin/pytest -s -m slow tests/deploy tests/integration/deploy

schema: setup ## write schemas/json and schemas/asyncapi.json from the code
	@$(BIN)/order-router schema --write

clean: ## remove what the other targets made
	@rm -rf .venv .tools .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis .coverage dist
