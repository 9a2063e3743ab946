# `make demo` runs the main job; `make test` checks everything. `make help` lists the rest.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
JOURNAL ?=
NODES ?= 1
INSTALLED := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help install demo test check unit simulate docs reference screenshots mutate torture containers bench kafka-up kafka-down clean

help:  ## list the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(INSTALLED): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Journeyman needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Set PYTHON=… to a newer one.")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	mkdir -p $(VENV)/types && ln -sfn ../.. $(VENV)/types/journeyman
	touch $@

install: $(INSTALLED)  ## make the virtual environment and install into it

demo: $(INSTALLED)  ## run the main job: JOURNAL=sqlite:///demo.db, kafka://127.0.0.1:9092/demo or http://127.0.0.1:8080
	$(BIN)/journeyman demo $(if $(JOURNAL),--journal $(JOURNAL))

check: $(INSTALLED)  ## lint, format, types, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy -p journeyman
	$(BIN)/mypy --namespace-packages --explicit-package-bases bench examples
	cd tests && ../$(BIN)/mypy --namespace-packages --explicit-package-bases --config-file ../pyproject.toml .
	$(BIN)/lint-imports

unit: $(INSTALLED)  ## the tests alone, four files at a time
	$(BIN)/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder

test: check unit  ## check and test everything

simulate: $(INSTALLED)  ## simulate whole systems, deterministically: SEEDS=2000 WORLD=all
	cd tests && ../$(BIN)/python -m simulation --seeds $(or $(SEEDS),2000) --world $(or $(WORLD),all)

docs: $(INSTALLED)  ## build the documentation as a site, strictly, into build/docs/site
	cd tests && ../$(BIN)/python -m docsite

reference: $(INSTALLED)  ## write the pages of commands and limits and the drawings anew, from the code
	cd tests && ../$(BIN)/python -m style.reference
	cd tests && ../$(BIN)/python -m docsite.drawings

screenshots: $(INSTALLED)  ## make the images of the page and of the terminal screen in docs/images anew, in a real browser
	cd tests && ../$(BIN)/python -m page.screenshots $(ONLY)
	cd tests && ../$(BIN)/python -m tui.screenshots $(ONLY)

mutate: $(INSTALLED)  ## plant small bugs, one at a time, and list those that no test notices: SAMPLE=20 SEED=0 ONLY=workers/rules
	cd tests && ../$(BIN)/python -m mutate --sample $(or $(SAMPLE),20) --seed $(or $(SEED),0) --only "$(ONLY)"

torture: $(INSTALLED)  ## two minutes each of killed and stopped workers: on a file, over a service that is hurt too, on a Kafka whose leaders are
	cd tests && ../$(BIN)/python -m torture

containers: $(INSTALLED)  ## with Docker: build the image, follow the README of a new package, kill a worker: NETWORK=host
	cd tests && ../$(BIN)/python -m containers $(if $(NETWORK),--build-network $(NETWORK))

bench: $(INSTALLED)  ## measure every figure beside its floor
	$(BIN)/python -m bench

kafka-up: $(INSTALLED)  ## start Apache Kafka on loopback (NODES=3 for three brokers)
	$(BIN)/python -m journeyman.deploy.kafka up --nodes $(NODES)

kafka-down: $(INSTALLED)  ## stop it
	$(BIN)/python -m journeyman.deploy.kafka down

clean:  ## remove the virtual environment and the caches
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
