# make demo   a sample gallery, mounted and served on 127.0.0.1:8080      (PHOTOS=/folder: that one)
# make test   the whole suite        make check   format, lint, types
# make bench  ratios to yardsticks   make soak    long fuzz and kill runs
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
unexport PYTHONDONTWRITEBYTECODE   # hundreds of daemons are started: each would compile all of iiiffs for itself

SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 /usr/bin/python3; do \
	if $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then command -v $$p; break; fi; done)
VENV := .venv
BIN := $(VENV)/bin
TOOLS := .tools
PORT ?= 8080

# Debian package : a file (* stands for the version or the architecture) or command that shows it is there
BASE_NEEDS := fuse3:fusermount3 libfuse3-dev:/usr/include/fuse3/fuse.h pkg-config:pkg-config gcc:gcc \
	python3-dev:/usr/include/python3.*/Python.h python3-venv:/usr/lib/python3.*/ensurepip/__init__.py \
	nginx-light:/usr/sbin/nginx npm:npm curl:curl
TEST_NEEDS := apache2-bin:/usr/sbin/apache2 caddy:caddy chromium:chromium libmagic1:/usr/lib/*/libmagic.so.1 mate-backgrounds:/usr/share/backgrounds/mate rsync:rsync attr:getfattr wrk:wrk plocate:/usr/sbin/updatedb.plocate pcmanfm:pcmanfm xvfb:Xvfb xauth:xauth strace:strace exiv2:exiv2 libimage-exiftool-perl:exiftool vim-tiny:vim.tiny unzip:unzip zip:zip libglib2.0-bin:gio

.PHONY: help demo test check bench soak constraints system-base system-test clean

help:
	@sed -n 's/^# \(make \)/\1/p' Makefile

demo: $(VENV)/.base
	@exec $(BIN)/iiiffs demo --port $(PORT) $(if $(PHOTOS),--photos "$$PHOTOS")   # exec: `kill` of make must reach it

test: $(VENV)/.dev $(TOOLS)/.ready
	$(BIN)/python -m pytest -m "not soak" $(if $(strip $(ARGS)),$(ARGS),-n 3 --dist loadfile --no-loadscope-reorder)

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy -p iiiffs
	$(BIN)/mypy tests

bench: $(VENV)/.dev $(TOOLS)/.ready $(TOOLS)/.peers
	$(BIN)/python -m tests.bench

# They begin first, each on a worker of its own: pytest leaves out what is inside of what it is given besides.
LONGEST := $(addprefix tests/mount/,test_crash_storm.py test_immich_crash_storm.py test_stress.py)

soak: $(VENV)/.dev $(TOOLS)/.ready
	HYPOTHESIS_PROFILE=soak $(BIN)/python -m pytest -m "soak or not soak" $(LONGEST) tests/unit tests/contract $(filter-out $(LONGEST),$(wildcard tests/mount/test_*.py)) \
		$(if $(strip $(ARGS)),$(ARGS),-n 3 --dist loadfile --no-loadscope-reorder)

# The packages whose sign is missing are installed; nothing is asked of the network when all are there.
define install_missing
@missing=""; for need in $(1); do package=$${need%%:*}; sign=$${need#*:}; \
	[ -e "$$sign" ] || command -v "$$sign" >/dev/null 2>&1 || [ -n "$$(ls $$sign 2>/dev/null)" ] || missing="$$missing $$package"; done; \
	if [ -n "$$missing" ]; then echo "installing:$$missing"; $(SUDO) apt-get update -qq; \
	DEBIAN_FRONTEND=noninteractive $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $$missing >/dev/null; fi
endef

system-base:
	$(call install_missing,$(BASE_NEEDS))

system-test: system-base
	$(call install_missing,$(TEST_NEEDS))

# pyfuse3 comes as source: setuptools_scm and Cython build it, pinned like the rest because nothing is isolated.
$(VENV)/.base: pyproject.toml constraints.txt | system-base
	@[ -n "$(PYTHON)" ] || { echo "iiiffs needs Python 3.11 or newer"; exit 1; }
	[ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt setuptools wheel setuptools_scm Cython
	$(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt --no-build-isolation -e .
	touch $@

$(VENV)/.dev: $(VENV)/.base | system-test
	$(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt --no-build-isolation -e '.[dev]'
	touch $@

# What the tests use of others: the IIIF validator (a venv of its own: it brings old packages), Playwright, viewers.
$(TOOLS)/.ready: $(VENV)/.dev tests/tools/package.json tests/tools/validator.txt
	mkdir -p $(TOOLS)/node
	$(PYTHON) -m venv $(TOOLS)/validator
	$(TOOLS)/validator/bin/python -m pip install -qq --disable-pip-version-check -r tests/tools/validator.txt
	cp tests/tools/package.json $(TOOLS)/node/
	cd $(TOOLS)/node && npm install --silent --ignore-scripts --no-audit --no-fund --no-package-lock
	$(BIN)/iiiffs viewer install --into $(TOOLS)/viewers
	touch $@

# The peers that `make bench` runs beside us, from npm and from Python's index; nothing else needs them.
PEERS := tests/bench/peers_tools
$(TOOLS)/.peers: $(VENV)/.dev $(PEERS)/package.json $(PEERS)/requirements.txt
	mkdir -p $(TOOLS)/peers
	cp $(PEERS)/package.json $(TOOLS)/peers/
	cd $(TOOLS)/peers && npm install --silent --ignore-scripts --no-audit --no-fund --no-package-lock
	$(PYTHON) -m venv $(TOOLS)/peers/venv
	$(TOOLS)/peers/venv/bin/python -m pip install -qq --disable-pip-version-check -r $(PEERS)/requirements.txt
	touch $@

constraints: $(VENV)/.dev
	{ head -n 1 constraints.txt; $(BIN)/python -m pip list --format=freeze --exclude iiiffs --exclude pip; } > constraints.new
	mv constraints.new constraints.txt

clean:
	rm -rf $(VENV) $(TOOLS) build *.egg-info
