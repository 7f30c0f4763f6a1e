# What a person types. Needs make and Python 3.11 or newer with venv; everything else is installed
# into .venv from requirements.lock. `make help` lists the targets.
PYTHON ?= python3
PORT ?= 8000
RUN = .venv/bin/python -m config.commands
export PORT

.PHONY: help demo run test lint check bench conformance screens install lock
.NOTPARALLEL:

help: ## Show this list.
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' Makefile

demo: install ## Run the site and play the whole loop once; ONCE=1 stops after it. PORT=8000
	@$(RUN) demo $(if $(filter-out 0 no false,$(ONCE)),--once)

run: install ## Run the site with what is in var/. PORT=8000
	@$(RUN) run

test: install ## Run the test-suite on services of its own. ARGS="-k name" goes to pytest.
	@$(RUN) test -- $(ARGS)

lint: install ## Run every linter and Django's own checks.
	@$(RUN) lint

check: lint test ## Lint, then test: what CI runs first.

bench: install ## Run one benchmark: NAME=… The last line of its output is JSON.
	@$(RUN) bench $(NAME) -- $(ARGS)

conformance: install ## Compare with reference data: DATA=../shared/data
	@$(RUN) conformance $(DATA) -- $(ARGS)

screens: install ## Take pictures of every page.
	@$(RUN) screens -- $(ARGS)

install: ## Make .venv, or do nothing where it fits. PYTHON=python3.12, TORCH_INDEX_URL=…
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "Folkmoot needs Python 3.11 or newer, and '$(PYTHON)' is none: name another one, such as make PYTHON=python3.12 demo." >&2; exit 1; }
	@$(PYTHON) config/install.py

lock: ## Write the lock files anew from requirements*.in, keeping versions that still fit.
	@$(PYTHON) config/lock.py
