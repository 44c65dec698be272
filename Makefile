# Every target does its own set-up in .venv; `make demo` and `make test` are all a newcomer needs.

VENV := .venv
BIN := $(VENV)/bin
PYTHON := $(BIN)/python
BASE_PYTHON ?= $(firstword $(foreach name,python3.11 python3.12 python3.13 python3,$(shell command -v $(name))))
DATA ?=

APP := $(VENV)/.app
TEST := $(VENV)/.test
STARTER := $(VENV)/.starter
BENCH := $(VENV)/.bench

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help demo run worker test browser lint format starter bench-accuracy bench-encoders bench-big bench-papers bench-check bench-trust bench-faults bench-security bench-load bench-image clean

help:  ## list the verbs
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 24

$(PYTHON):
	@$(BASE_PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "labelfree needs Python 3.11 or newer; name one: make BASE_PYTHON=/path/to/python3.11")'
	$(BASE_PYTHON) -m venv $(VENV)

$(APP): pyproject.toml | $(PYTHON)
	$(PYTHON) -m pip install --quiet --editable '.[web,worker]'
	@touch $@

$(TEST): pyproject.toml | $(PYTHON)
	$(PYTHON) -m pip install --quiet --editable '.[web,worker,s3,test]'
	@touch $@ $(APP)

$(BENCH): pyproject.toml | $(PYTHON)
	$(PYTHON) -m pip install --quiet --editable '.[web,worker,s3,test,bench]'
	@touch $@ $(APP) $(TEST)

$(STARTER): pyproject.toml | $(PYTHON)
	$(PYTHON) -m pip install --quiet --editable '.[worker,starter]'
	@touch $@

demo: $(APP)  ## start everything, adapt to 1,797 real digits through the public API, leave it running
	$(PYTHON) -m benchmarks.demo

run: $(APP)  ## start the web, one worker and Redis
	$(PYTHON) manage.py up

worker: $(APP)  ## start one more worker (REDIS_URL and DATABASE_URL name the others' house)
	$(PYTHON) manage.py worker

lint: $(TEST)  ## style, types, import contracts, migrations
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(PYTHON) manage.py makemigrations --check --dry-run
	$(PYTHON) manage.py check

# As many processes as cores, but at most four: each holds torch. A file stays whole, as its fixtures cost; files keep
# their order, in which the workers' real runs, the longest, come half-way and not last, with nobody beside them.
test: lint  ## everything that must hold, from a clean clone; CI=true makes a skip a failure
	$(PYTHON) -m tests.machine
	$(PYTHON) -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

browser: $(TEST)  ## the main job by clicking, in a real Chromium; screenshots in var/screenshots
	$(PYTHON) -m tests.machine
	$(PYTHON) -m pytest tests/browser

format: $(TEST)  ## mend what the linter can mend
	$(BIN)/ruff check --fix .

starter: $(STARTER)  ## train the starter models again: make starter DATA=DIR
	@test -n "$(DATA)" || { echo "make starter DATA=DIR: the folder of pretraining shards"; exit 2; }
	for stage in text image mae ship-clip ship-mae; do $(PYTHON) -m core.starter $$stage --data $(DATA) || exit 1; done

bench-accuracy: $(APP)  ## measure every method on labelled targets, resumable: make bench-accuracy DATA=DIR
	@test -n "$(DATA)" || { echo "make bench-accuracy DATA=DIR: the folder of target-*.tar"; exit 2; }
	$(PYTHON) -m benchmarks.accuracy --data $(DATA)

bench-encoders: $(APP)  ## the same for MAE-CT, unsupervised finetuning and Semi-MAE: make bench-encoders DATA=DIR
	@test -n "$(DATA)" || { echo "make bench-encoders DATA=DIR: the folder of target-*.tar and pretrain-64px-*.npz"; exit 2; }
	$(PYTHON) -m benchmarks.encoders --data $(DATA)

bench-big: $(APP)  ## do models of the papers' sizes run: a few steps of every method that fits, weights at random
	$(PYTHON) -m benchmarks.big

bench-papers: $(APP)  ## the papers' own tables, with the real weights: make bench-papers DATA=DIR ONLY='must dtd-b'
	@test -n "$(DATA)" || { echo "make bench-papers DATA=DIR: a folder a data set, see benchmarks/papers.py"; exit 2; }
	$(PYTHON) -m benchmarks.papers --data $(DATA) --only '$(ONLY)'

bench-check: $(APP)  ## hold the committed measurements against their bounds, in seconds
	$(PYTHON) -m benchmarks.bounds

bench-trust: $(APP)  ## how far estimates, spot check and guard can be believed, from the committed rows, in seconds
	$(PYTHON) -m benchmarks.trust

bench-faults: $(APP)  ## kill, freeze, fill and cut a real labelfree of its own, resumable: make bench-faults ONLY='kills zombies'
	$(PYTHON) -m benchmarks.faults $(ONLY)

bench-security: $(BENCH)  ## hostile files, words, requests and guesses against a labelfree of its own, resumable
	$(PYTHON) -m benchmarks.security

bench-load: $(BENCH)  ## fifty reviewers, an upload and a run at once, on SQLite and on Postgres; resumable
	$(PYTHON) -m benchmarks.load

bench-image: $(BENCH)  ## do the Dockerfile's and compose.yaml's own lines in empty Debian roots; takes root's rights
	$(PYTHON) -m benchmarks.image

clean:  ## remove the environment and caches; your data in var/ stays
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache *.egg-info
