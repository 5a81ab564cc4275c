# Everything that people and CI run. `make help` lists it.

PYTHON ?= python3.11
VENV   ?= .venv
# What `make install` installs. A server that only calls hosted models needs no more than `.`
EXTRAS ?= dev

BIN   := $(VENV)/bin
comma := ,
STAMP := $(VENV)/.installed-$(subst $(comma),-,$(EXTRAS))
# Python compiles what is imported when it is first imported, which is a small part. Editable is what
# is wanted, so its builder need not warn of it.
PIP   := PYTHONWARNINGS='ignore:Editable installation' \
         $(BIN)/python -m pip install --quiet --no-compile --constraint constraints.txt

.DEFAULT_GOAL := help
.PHONY: help install alfworld learn serve test check format bench figures soak novice clerk

help: ## List the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

install: $(STAMP) ## Create .venv and install the project with everything `make` uses

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) --upgrade pip setuptools
	$(PIP) --editable '.[$(EXTRAS)]'
	@touch $@

alfworld: ## Add the real ALFWorld games, without their data (`alfworld-download` fetches it)
	$(MAKE) install EXTRAS=dev,alfworld

learn: install ## See an agent fail, reflect and succeed (the main job; no key, no download, no GPU)
	$(BIN)/apprentice learn

serve: install ## Serve the graphs on http://127.0.0.1:2024 (APPRENTICE_MODEL is local:novice unless set)
	APPRENTICE_MODEL=$${APPRENTICE_MODEL:-local:novice} $(BIN)/langgraph dev --no-browser --n-jobs-per-worker 10

test: install ## Run the quick, representative test suite
	$(BIN)/python -m pytest --quiet

check: install ## Check style, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: install ## Put the code into the project's style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: install ## Measure side by side with peers, and print ratios
	$(BIN)/python -m benchmarks

figures: install ## Produce the tables of docs/figures.md, with their intervals
	$(BIN)/python -m benchmarks.figures --out runs/figures.md
	$(BIN)/python -m benchmarks.fine_tunes --out runs/tuning.md

soak: install ## Kill and fuzz at length
	$(BIN)/python -m pytest -m soak --timeout 3600

novice: install ## Train the embedded model from scratch
	$(BIN)/python -m apprentice.training.novice
	$(BIN)/python -m apprentice.training.novice --publish models/novice/weights

clerk: install ## Train the embedded model that reads forms from scratch
	$(BIN)/python -m apprentice.training.clerk
	$(BIN)/python -m apprentice.training.clerk --publish models/clerk/weights
