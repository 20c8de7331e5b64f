# The loop: make check. A fresh clone needs Python 3.11 or newer, make and git.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SAMPLE := docs/astronaut.jpg

# Tests run in two processes: one thread each, or torch's threads fight over the cores.
export OMP_NUM_THREADS := 1

.PHONY: demo test check lint coverage test-python lowest tools format formats fuzz faults results docs dist clean

# What the base install can do: no torch, no data, no network after the install.
demo: $(VENV)/base
	$(BIN)/mien predict $(SAMPLE) --annotate out

# Everything, with the tests on real data where it lies beside the repository.
test: $(VENV)/dev
	$(BIN)/python -m pytest -n 2 --dist loadfile

# The daily loop: format, lint, types, import contract, fast tests.
check: lint
	$(BIN)/python -m pytest -q -n 2 --dist loadfile -m "not slow"

lint: $(VENV)/dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports

# How much of mien the fast tests run; what they start as processes of their own does not count.
coverage: $(VENV)/dev
	$(BIN)/python -m pytest -q -n 2 --dist loadfile -m "not slow" --cov=mien --cov-report=term:skip-covered

# The fast tests on another Python, in an environment of its own: make test-python PYTHON=python3.13
ELSEWHERE ?= build/$(notdir $(PYTHON))
test-python:
	$(PYTHON) -m venv $(ELSEWHERE)
	$(ELSEWHERE)/bin/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	$(ELSEWHERE)/bin/python -m pytest -q -n 2 --dist loadfile -m "not slow"

# The same with the lowest versions that pyproject.toml allows. What these depend on is as new as can be, and deprecates
# much that they use: such warnings, errors elsewhere, are none of mien's.
lowest: ELSEWHERE := build/lowest
lowest:
	$(PYTHON) -m venv $(ELSEWHERE)
	$(ELSEWHERE)/bin/python -m pip install --quiet --disable-pip-version-check uv
	$(ELSEWHERE)/bin/uv pip install --quiet --python $(ELSEWHERE)/bin/python --resolution lowest-direct -e '.[dev]'
	$(ELSEWHERE)/bin/python -m pytest -q -n 2 --dist loadfile -m "not slow" \
		-W ignore::DeprecationWarning -W ignore::PendingDeprecationWarning

# Twenty-five thousand damaged and hostile files into everything that takes files from strangers, 5,000 over HTTP.
fuzz: $(VENV)/dev
	$(BIN)/python tests/fuzz/fuzz.py --cases 20000 --videos 2000

# Two hundred cases: every command that writes, killed, interrupted, on a full disk, twice at once. All of it as root.
faults: $(VENV)/dev
	$(BIN)/python tests/faults/faults.py --cases 200

# What some tests drive: a browser, a reverse proxy, ffmpeg, a checker of accessibility, C for another processor. As root on
# Debian and the like; elsewhere install the same by hand. What cannot be installed is no error: its tests say so.
tools:
	-if command -v apt-get > /dev/null && [ "$$(id -u)" = 0 ]; then \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium ffmpeg nginx \
		gcc gcc-aarch64-linux-gnu libc6-dev libc6-dev-arm64-cross qemu-user-static valgrind; fi
	-if command -v npm > /dev/null; then npm install --silent --no-save --prefix .tools axe-core@4.14.1; fi

# Converters and runtimes of mien export --format; tests of formats skip without.
formats: $(VENV)/dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[formats]'

format: $(VENV)/dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# The figures of docs/results.md from the shipped files, their predictions and the data.
DATA ?= fer2013.parquet
results: $(VENV)/dev
	$(BIN)/python benchmarks/results.py $(DATA)

# The site of docs/, strict: a broken link is an error. Open build/site/index.html.
docs: $(VENV)/dev
	$(BIN)/sphinx-build -q -W --keep-going -E -b html docs build/site

# Wheel and sdist; the wheel, at most 10 MB, is installed in a fresh environment and reads the portrait.
dist: $(VENV)/base
	rm -rf dist build/wheel
	$(BIN)/python -m pip install --quiet --disable-pip-version-check build
	$(BIN)/python -m build --outdir dist .
	test $$(wc -c < dist/mien-*.whl) -le 10000000
	$(PYTHON) -m venv build/wheel
	build/wheel/bin/python -m pip install --quiet --disable-pip-version-check dist/mien-*.whl
	build/wheel/bin/mien --version
	build/wheel/bin/mien predict $(SAMPLE)

# The stamps are made again when the dependencies change.
$(VENV)/base: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	@touch $@

$(VENV)/dev: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@ $(VENV)/base

clean:
	rm -rf $(VENV) out build dist .pytest_cache .ruff_cache .hypothesis .import_linter_cache
