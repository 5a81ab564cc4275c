# The commands for people and CI. `make help` lists them.

PYTHON ?= python3.11
VENV   ?= .venv
# The extras that `make install` installs. A server that only calls hosted models needs none.
EXTRAS ?= dev

BIN   := $(VENV)/bin
comma := ,
STAMP := $(VENV)/.installed-$(subst $(comma),-,$(EXTRAS))
# --no-compile: Python compiles a module when it is first imported, and most never are. The warning
# is about editable installs, which is what we want.
PIP   := PYTHONWARNINGS='ignore:Editable installation' \
         $(BIN)/python -m pip install --quiet --no-compile --constraint constraints.txt

# If it is set, every start compiles again what `install` left uncompiled. So it is unset here.
export PYTHONDONTWRITEBYTECODE =

.DEFAULT_GOAL := help
.PHONY: help install alfworld lowest learn serve test check format bench figures soak novice clerk

help: ## List the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

install: $(STAMP) ## Create .venv and install the project with all that `make` needs

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) --upgrade pip setuptools
	$(PIP) --editable '.[$(EXTRAS)]'
	@touch $@

alfworld: ## Install ALFWorld's real games; `alfworld-download` then fetches their data
	$(MAKE) install EXTRAS=dev,alfworld

lowest: ## Test the light install with the lowest versions that are allowed
	.ci/lowest

learn: install ## Show an agent that fails, reflects and succeeds (no key, download or GPU)
	$(BIN)/apprentice learn

serve: install ## Serve the graphs on http://127.0.0.1:2024 (default model: local:novice)
	APPRENTICE_MODEL=$${APPRENTICE_MODEL:-local:novice} LANGGRAPH_STRICT_MSGPACK=$${LANGGRAPH_STRICT_MSGPACK:-true} \
		$(BIN)/langgraph dev --no-browser --n-jobs-per-worker 10

test: install ## Run the tests
	$(BIN)/python -m pytest --quiet

check: install ## Check style, types and the import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: install ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: install ## Measure speed, and compare it with peers
	$(BIN)/python -m benchmarks

figures: install ## Measure the tables of docs/figures.md
	$(BIN)/python -m benchmarks.figures --out runs/figures.md
	$(BIN)/python -m benchmarks.fine_tunes --out runs/tuning.md

soak: install ## Run the long tests, which kill processes and fuzz inputs
	$(BIN)/python -m pytest -m soak --timeout 3600

novice: install ## Train the embedded model `novice` from scratch
	$(BIN)/python -m apprentice.training.novice
	$(BIN)/python -m apprentice.training.novice --publish models/novice/weights

clerk: install ## Train the embedded model `clerk` from scratch
	$(BIN)/python -m apprentice.training.clerk
	$(BIN)/python -m apprentice.training.clerk --publish models/clerk/weights
