# Two commands are all a newcomer needs: `make book` and `make test`.
# Works with GNU make 3.81 (macOS) and later; the README has the same in plain
# commands for Windows.

PYTHON ?= python3# the Python (3.11 or newer) that makes .venv
TORCH_PIP_ARGS ?=# extra arguments for the installation of torch
NB ?= $(sort $(wildcard chapters/*.ipynb))# notebooks for `make execute`

VENV := .venv
PY := $(VENV)/bin/python
READY := $(VENV)/.ready
PIP := $(PY) -m pip --disable-pip-version-check

export PYTHONUTF8 := 1

.PHONY: help book test execute export lint bench clean set-repository
.DEFAULT_GOAL := help

help:
	@echo 'make book      build the book from the stored outputs'
	@echo 'make test      check everything the book says (about 20 minutes)'
	@echo 'make execute   re-run the notebooks, store their outputs (NB=chapters/03_positions.ipynb)'
	@echo 'make export    generate bertlib from the chapters'
	@echo 'make lint      check the code and the form of the notebooks'
	@echo 'make bench     measure against Hugging Face'
	@echo 'make clean     remove what was built (.venv and data stay)'
	@echo 'make set-repository URL=https://github.com/you/your-fork'
	@echo 'Python for .venv: PYTHON=$(PYTHON)'

book: $(READY)
	$(VENV)/bin/jupyter-book build .
	@echo
	@echo "The book: $(CURDIR)/_build/html/index.html"

test: $(READY)
	$(PY) tools/run_tests.py

execute: $(READY)
	$(PY) tools/execute.py $(NB)

export: $(READY)
	$(VENV)/bin/nbdev-export

lint: $(READY)
	$(PY) tools/run_tests.py lint

bench: $(READY)
	$(PY) benchmarks/run.py

clean:
	rm -rf _build .ruff_cache .hypothesis *.egg-info
	find . -path ./$(VENV) -prune -o -name __pycache__ -exec rm -rf {} +

set-repository: $(READY)
	@test -n "$(URL)" || { echo 'usage: make set-repository URL=https://github.com/you/your-fork' >&2; exit 2; }
	$(PY) tools/set_repository.py "$(URL)"

# The environment. $(READY) is written last, so a half-finished installation
# never counts as one. torch goes first and alone: whatever build of it was
# chosen then stays.
$(READY): requirements.txt constraints.txt pyproject.toml data/fetch.py
	@command -v "$(PYTHON)" >/dev/null || { \
	    echo 'No "$(PYTHON)" here. Install Python 3.11 or newer, or name one: make PYTHON=/path/to/python3' >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.version_info >= (3, 11) or sys.exit(f"{sys.executable} is Python {sys.version.split()[0]}; this book needs 3.11 or newer. Name another: make PYTHON=python3.12")'
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { \
	    echo '"$(PYTHON)" cannot make virtual environments. On Debian and Ubuntu: apt-get install python3-venv' >&2; exit 1; }
	@rm -f $@
	@$(PY) -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || "$(PYTHON)" -m venv --clear $(VENV)
	@echo 'Installing into $(VENV): first torch, then the rest. This takes some minutes.'
	$(PIP) install --quiet $(TORCH_PIP_ARGS) "$$(grep '^torch==' requirements.txt)"
	$(PIP) install --quiet -r requirements.txt
	$(PY) data/fetch.py
	@touch $@
