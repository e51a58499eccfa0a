# make run    create the virtual environment, install the project and start it; PORT=9000 for another port
# make test   install what the tests need, and run them in TESTERS=6 processes, since they wait more than they work
# make lint   run ruff and mypy
# make faults inject every fault, in the long form (needs a C compiler, and root for some); FAULTS="kills clocks" for two
# make bench  measure abtest and yardsticks (needs wrk and a C compiler); BENCH=--quick takes two minutes
# make report measure the same, and write docs/performance.md with the figures and the plot
PYTHON ?= python3
PORT ?= $(or $(ABTEST_PORT),8080)
BIN := .venv/bin
TESTERS ?= 6
NODE_FOLDERS := tests/web/openfeature tests/web/single_sign_on/provider

.PHONY: run test lint faults bench report browser postgres npm packages clients clean

run: .venv/.installed
	@ABTEST_PORT="$(PORT)" exec $(BIN)/abtest up

test: .venv/.installed-dev browser postgres packages clients
	$(BIN)/python -m pytest --numprocesses $(TESTERS) --dist worksteal

lint: .venv/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

faults: .venv/.installed-dev
	$(BIN)/python -m tests.faults $(FAULTS)

bench: .venv/.installed
	$(BIN)/python -m benchmarks $(BENCH)

report: .venv/.installed
	$(BIN)/python -m benchmarks --json docs/performance.json --plot docs/images/latency.svg \
	  --report docs/performance.md $(BENCH)

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "abtest needs Python 3.11 or newer; choose one with: make PYTHON=python3.12 ..."; exit 1; }
	@$(PYTHON) -m venv .venv \
	  || { echo "could not make .venv: on Debian and Ubuntu, install python3-venv"; rm -rf .venv; exit 1; }

.venv/.installed: setup.py pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

.venv/.installed-dev: setup.py pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[dev]"
	@touch $@ .venv/.installed

# The browser tests drive the system's Chromium. Install it if possible; otherwise they are skipped.
browser:
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null \
	  || command -v google-chrome >/dev/null || [ -n "$$ABTEST_TEST_BROWSER" ] \
	  || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq \
	       && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core procps >/dev/null; } \
	  || echo "no Chromium found: the browser tests will be skipped"

# The tests of the store in PostgreSQL start a server of their own. Install PostgreSQL if possible; otherwise they are
# skipped.
postgres:
	@command -v initdb >/dev/null || [ -n "$$ABTEST_TEST_POSTGRES" ] \
	  || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 \
	  || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq \
	       && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql >/dev/null; } \
	  || echo "no PostgreSQL found: the tests of the store in PostgreSQL will be skipped"

# Some tests need Node. Install npm if possible; otherwise they are skipped.
npm:
	@command -v npm >/dev/null \
	  || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq \
	       && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends npm >/dev/null; } \
	  || echo "no npm found: the tests with Node (OpenFeature's clients, single sign-on, the TypeScript client) will be skipped"

# From npm: OpenFeature's clients, the compiler of the TypeScript client, and an OpenID provider where tests sign in.
packages: $(NODE_FOLDERS:%=%/node_modules/.installed)

%/node_modules/.installed: %/package-lock.json | npm
	@cd $* && { command -v npm >/dev/null && npm ci --silent --no-audit --no-fund && touch node_modules/.installed; } \
	  || echo "the packages of $* could not be installed with npm: their tests will be skipped"

# The tests of the clients compile Kotlin. Install the compiler if possible; otherwise they are skipped.
clients:
	@command -v kotlinc >/dev/null \
	  || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq \
	       && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends kotlin >/dev/null; } \
	  || echo "no Kotlin compiler found: the tests of the Kotlin client will be skipped"

clean:
	rm -rf .venv build dist *.egg-info $(NODE_FOLDERS:%=%/node_modules)
