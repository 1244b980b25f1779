# One command each: `make lab` to read, `make test` to check. `make help` lists the rest.
# All that is installed goes into .venv; nothing outside this folder is registered or changed,
# but for the trust that `make lab` gives to the suite's own notebooks.

PYTHON ?= $(shell command -v python3.11 || echo python3)
CHAPTERS := $(wildcard notebooks/[0-9][0-9]_*.ipynb)
LAB_FLAGS ?=

VENV_PYTHON := .venv/bin/python
READY := .venv/ready

# Jupyter and pip want somewhere to write. If HOME is missing or read-only, lend them a folder.
ifneq ($(shell test -d "$$HOME" && test -w "$$HOME" && echo yes),yes)
export HOME := $(CURDIR)/.venv/home
endif

# Scripts and the editable install hold this folder's path: after a move, a copy or the loss of the
# interpreter, start .venv afresh.
STALE := $(shell test ! -e $(READY) \
  || { test -x $(VENV_PYTHON) && test "$$(cat $(READY))" = '$(CURDIR)'; } || echo yes)
ifeq ($(STALE),yes)
.PHONY: $(READY)
endif

.PHONY: help setup lab test notebooks pull figures bench format lock clean
.DEFAULT_GOAL := help

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /\1|/p' Makefile | awk -F'|' '{ printf "  make %-10s %s\n", $$1, $$2 }'

setup: $(READY) ## make .venv from requirements.lock (PYTHON=python3.11 picks the interpreter)

# Two steps, since a hashed file cannot hold the project itself.
$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { \
	  echo "Python 3.11 is needed, and '$(PYTHON)' is not it." \
	    "Install it, or name it: make setup PYTHON=/path/to/python3.11" >&2; exit 1; }
	rm -f $(READY)
	$(PYTHON) -m venv $(if $(STALE),--clear) .venv
	$(VENV_PYTHON) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(VENV_PYTHON) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@printf '%s' '$(CURDIR)' > $(READY)

# An untrusted notebook shows no SVG until it is run. The chapter is the default address rather than
# an argument, so that it is also in the address that is printed where no browser can open.
# Jupyter refuses to run as root unless told; in a container there may be no one else.
lab: setup ## open the first chapter in JupyterLab (LAB_FLAGS=--no-browser and the like)
	$(VENV_PYTHON) -m jupyter trust $(CHAPTERS)
	$(VENV_PYTHON) -m jupyter lab --ServerApp.root_dir='$(CURDIR)' \
	  --LabApp.default_url=/lab/tree/notebooks/00_fusing_operations.ipynb \
	  $(if $(filter 0,$(shell id -u)),--allow-root) $(LAB_FLAGS)

# A kernel named python3 elsewhere must not stand in for the one in .venv.
lab test notebooks: export JUPYTER_PATH :=
# Nor may a reader's own Jupyter and IPython settings and start-up files change what is computed.
test notebooks: export IPYTHONDIR := $(CURDIR)/.venv/ipython
test notebooks: export JUPYTER_CONFIG_DIR := $(CURDIR)/.venv/jupyter
test notebooks: export JUPYTER_DATA_DIR := $(CURDIR)/.venv/jupyter

test: setup ## every check: ruff, then tests, doctests and notebooks in one pytest run
	$(VENV_PYTHON) -m ruff check
	$(VENV_PYTHON) -m ruff format --check
	$(VENV_PYTHON) -m coverage run -m pytest
	$(VENV_PYTHON) -m coverage report --skip-covered --fail-under=95

notebooks: setup ## run every notebook's .md again and store the outputs in its .ipynb
	$(VENV_PYTHON) scripts/notebooks.py build

pull: setup ## bring cells that were edited in an .ipynb alone over to its .md
	$(VENV_PYTHON) scripts/notebooks.py pull

figures: setup ## render the gallery again
	$(VENV_PYTHON) -m mt_diagrams render --all -o diagrams/gallery

bench: setup ## compare speed with NumPy (QUICK=1 takes a minute instead of ten)
	$(VENV_PYTHON) -m benchmarks $(if $(filter-out 0,$(QUICK)),--quick)

# In a pair the .md is what people edit, so its cells are formatted there; `make notebooks` follows.
# With `pull` before, it has all cells, and the .ipynb knows it.
format: pull ## put code and the notebooks' .md into ruff's format
	$(VENV_PYTHON) -m ruff check --fix --exit-zero --extend-exclude '*.ipynb'
	$(VENV_PYTHON) -m ruff format --extend-exclude '*.ipynb'
	$(VENV_PYTHON) -m jupytext --quiet --pipe-fmt ipynb \
	  --pipe '$(VENV_PYTHON) -m ruff check --quiet --fix --exit-zero --stdin-filename a.ipynb -' \
	  --pipe '$(VENV_PYTHON) -m ruff format --stdin-filename a.ipynb -' notebooks/*.md

# uv is no dependency of the suite: it lives in a folder made for this and thrown away.
lock: ## make requirements.lock again from pyproject.toml
	uv=$$(mktemp -d) && trap 'rm -rf "$$uv"' EXIT && \
	$(PYTHON) -m venv "$$uv" && "$$uv/bin/python" -m pip install --quiet uv && \
	"$$uv/bin/uv" pip compile pyproject.toml --all-extras --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --no-header --quiet -o requirements.lock

clean: ## remove what make and the tools made: .venv and caches
	rm -rf .venv .pytest_cache .ruff_cache .hypothesis .coverage
	find mtlib diagrams tests scripts notebooks benchmarks \( -name __pycache__ -o -name .ipynb_checkpoints \) \
	  -prune -exec rm -rf {} +
