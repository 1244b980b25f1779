# One command each: `make lab` to read, `make test` to check. `make help` lists the rest.
# All that is installed goes into .venv; nothing outside this folder is registered or changed,
# but for the trust that `make lab` gives to the suite's own notebooks.

# A name on the path may be no more than a shim that fails, and a Python may lack the means to make
# a virtual environment. So each is tried, the one that .venv was made from first.
SUPPORTED := 3.13 3.12 3.11
FITS := import ensurepip, sys; sys.exit("%d.%d" % sys.version_info[:2] not in "$(SUPPORTED)".split())
FIND_PYTHON = for python in "$$(sed -n 's/^executable = //p' .venv/pyvenv.cfg 2>/dev/null)" \
  $(SUPPORTED:%=python%) python3; do "$$python" -I -c '$(FITS)' 2>/dev/null && break; done \
  && echo "$$python"

# Make looks for it once, and only where it is needed.
ifeq ($(PYTHON),)
PYTHON = $(eval PYTHON := $$(shell $$(FIND_PYTHON)))$(PYTHON)
endif
CHAPTERS := $(wildcard notebooks/[0-9][0-9]_*.ipynb)
LAB_FLAGS ?=
QUICK := # on the command line only
ONLY := # so is this
NAME := # likewise

VENV_PYTHON := .venv/bin/python

# What somebody's shell holds for other work must not change what is computed here. What is kept is
# where JupyterLab and IPython have their settings, and how much of the machine to use.
LEAKS := PYTHON% PYTEST_% PY_COLORS FORCE_COLOR CLICOLOR% COVERAGE_% COV_% HYPOTHESIS_% RUFF_% \
  HATCH_% NUMBA_% JUPYTER% IPYTHON% VIRTUAL_ENV CONDA_% __PYVENV_LAUNCHER__ GIT_% CDPATH MAKEFLAGS
KEPT := JUPYTER_CONFIG_DIR JUPYTER_DATA_DIR JUPYTER_RUNTIME_DIR JUPYTER_TOKEN IPYTHONDIR \
  NUMBA_NUM_THREADS NUMBA_CACHE_DIR NUMBA_DISABLE_JIT
unexport $(filter-out $(KEPT),$(filter $(LEAKS),$(.VARIABLES)))

# Jupyter and pip want somewhere to write. If HOME is missing or read-only, lend them a folder.
ifneq ($(shell test -d "$$HOME" && test -w "$$HOME" && echo yes),yes)
export HOME := $(CURDIR)/.venv/home
endif

.PHONY: help setup lab test test-pythons notebooks chapter pull figures bench format lock clean
.DEFAULT_GOAL := help

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' Makefile | awk -F'|' '{ name = $$1; sub(/^[^|]*\|/, ""); printf "  make %-13s %s\n", name, $$0 }'

setup: ## make .venv from requirements.lock (PYTHON=python3.12 picks the interpreter)
	@"$(PYTHON)" -I -c '$(FITS)' 2>/dev/null || { \
	  echo "Python 3.11, 3.12 or 3.13 with its venv module is needed," \
	    "and '$(or $(PYTHON),python3)' is not it." \
	    "Install one, or name it: make setup PYTHON=/path/to/python3.13" >&2; exit 1; }
	@"$(PYTHON)" -I scripts/environment.py

# An untrusted notebook shows of a stepper the first picture only. The chapter is the default address
# rather than an argument, so that it is also in the address that is printed where no browser opens.
# Jupyter refuses to run as root unless told; in a container there may be no one else.
lab: setup ## open the first chapter in JupyterLab (LAB_FLAGS=--no-browser and the like)
	$(VENV_PYTHON) -m jupyter trust $(CHAPTERS)
	$(VENV_PYTHON) -m jupyter lab --ServerApp.root_dir="$$PWD" \
	  --LabApp.default_url=/lab/tree/notebooks/00_fusing_operations.ipynb \
	  $(if $(filter 0,$(shell id -u)),--allow-root) $(LAB_FLAGS)

# A reader's own Jupyter and IPython settings and start-up files must not change what is computed.
test notebooks chapter: export IPYTHONDIR := $(CURDIR)/.venv/ipython
test notebooks chapter: export JUPYTER_CONFIG_DIR := $(CURDIR)/.venv/jupyter
test notebooks chapter: export JUPYTER_DATA_DIR := $(CURDIR)/.venv/jupyter
test notebooks chapter: export JUPYTER_RUNTIME_DIR := $(CURDIR)/.venv/jupyter/runtime
test notebooks chapter: export NUMBA_DISABLE_JIT := 0

# What may differ between versions of Python: figures, stored outputs, messages, what reads source.
QUICK_TESTS := tests/test_architecture.py tests/test_readme.py tests/mt_diagrams tests/notebooks \
  tests/mtlib/test_exercises.py tests/mtlib/test_fusion_calls.py mtlib diagrams notebooks

ONLY_mtlib := tests/mtlib mtlib
ONLY_figures := tests/mt_diagrams diagrams/mt_diagrams
ONLY_notebooks := tests/notebooks notebooks
ifneq ($(ONLY),)
$(if $(ONLY_$(ONLY)),,$(error test: ONLY=$(ONLY) is none of mtlib, figures and notebooks))
endif

# Files of tests are dealt out to the cores; the tests of a file stay together.
SIDE_BY_SIDE := -n auto --maxprocesses 4 --dist loadfile

test: setup ## every check: ruff, tests, doctests, notebooks (QUICK=1, ONLY=mtlib|figures|notebooks: parts)
	$(VENV_PYTHON) -m ruff check
	$(VENV_PYTHON) -m ruff format --check
ifneq ($(ONLY),)
	$(VENV_PYTHON) -m pytest $(SIDE_BY_SIDE) $(ONLY_$(ONLY))
else ifneq ($(filter-out 0,$(QUICK)),)
	$(VENV_PYTHON) -m pytest $(SIDE_BY_SIDE) $(QUICK_TESTS)
else
	$(VENV_PYTHON) -m coverage erase
	$(VENV_PYTHON) -m coverage run -m pytest $(SIDE_BY_SIDE)
	$(VENV_PYTHON) -m coverage combine --quiet
	$(VENV_PYTHON) -m coverage report --skip-covered --fail-under=95
endif

test-pythons: setup ## the same on every supported Python found, each in a copy (QUICK=1: a part)
	$(VENV_PYTHON) scripts/pythons.py $(if $(filter-out 0,$(QUICK)),--quick)

notebooks: setup ## run every notebook's .md again and store the outputs in its .ipynb
	$(VENV_PYTHON) scripts/notebooks.py build

chapter: setup ## begin a chapter: NAME=07_fuse_what_surrounds
	@$(VENV_PYTHON) scripts/chapter.py '$(NAME)'

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
	"$(PYTHON)" -I -m venv "$$uv" && "$$uv/bin/python" -m pip install --quiet uv && \
	"$$uv/bin/uv" pip compile pyproject.toml --all-extras --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --no-header --quiet -o requirements.lock

clean: ## remove what make and the tools made: .venv and caches
	rm -rf .venv .pytest_cache .ruff_cache .hypothesis .coverage*
	find mtlib diagrams tests scripts notebooks benchmarks \( -name __pycache__ -o -name .ipynb_checkpoints \) \
	  -prune -exec rm -rf {} +
