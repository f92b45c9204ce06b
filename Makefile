# Two commands: `make run` shows Onitu at work, `make test` checks everything.
# Both first install what is missing, and say so. The steps of `make test` can be run alone.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# The programs of an Onitu: found beside each other, so built into one directory. First those
# that `make run` needs, then the drivers that take long to build.
PROGRAMS := -p onitu -p onitu-core-server -p onitu-referee -p onitu-driver-local
DRIVERS := -p onitu-driver-dropbox -p onitu-driver-s3 -p onitu-driver-sftp
# What `onitu driver test` runs.
SUITE := -p onitu-conformance

# A driver as others write them: a package of its own, outside of the workspace.
EXAMPLE := --locked --manifest-path docs/examples/opendal/Cargo.toml \
	--target-dir "$${CARGO_TARGET_DIR:-target}/opendal"

# Two real-process tests at once, as .config/nextest.toml says for nextest.
THREADS := 2

# Where `make install` puts the programs.
BIN ?= $(HOME)/.local/bin
RELEASE := $${CARGO_TARGET_DIR:-target}/release

.PHONY: help run test build install need need-tests format lint docs examples driver programs tests crashes demo-clean

help:
	@echo "make run         install what is missing, build, keep demo/laptop and demo/nas in step"
	@echo "make test        install what is missing, check the format, lints, docs and every test"
	@echo "make install     install what is missing, build, put the programs into $(BIN) (BIN=…)"
	@echo "make crashes     random edits while processes are killed: ROUNDS=200 SEED=… (see docs/testing.md)"
	@echo "make demo-clean  remove what make run made: demo/ and state/"
	@echo "Steps of make test: need-tests format lint docs examples driver programs tests"

run: need
	@echo "building (a few minutes the first time)"
	cargo build --locked --release $(PROGRAMS) -p xtask
	@exec "$(RELEASE)/xtask" demo

build: need
	cargo build --locked --release $(PROGRAMS) $(DRIVERS) $(SUITE)

install: build
	install -D -t "$(BIN)" "$(RELEASE)"/onitu{,-core,-referee,-conformance,-driver-{local,dropbox,s3,sftp}}

test: need-tests format lint docs examples driver programs tests

need:
	@xtask/need cc=gcc,libc6-dev redis-server=redis-server

# Tests make Python environments below the target directory, once.
need-tests: need
	@xtask/need ps=procps mount=mount setpriv=util-linux python3=python3 \
		sshd=openssh-server ssh-agent=openssh-client inotifywait=inotify-tools
	@python3 -c 'import ensurepip' 2>/dev/null || xtask/need ensurepip=python3-venv

format:
	cargo fmt --all --check
	cargo fmt --manifest-path docs/examples/opendal/Cargo.toml --check

lint:
	cargo clippy --locked --workspace --all-targets -- -D warnings
	@if cargo deny --version >/dev/null 2>&1; then cargo deny --offline check bans licenses sources; fi

docs:
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --lib --no-deps --quiet

examples:
	cargo test --locked --workspace --doc --quiet

# The example of a driver, compiled and linted in one go: Clippy as the compiler of this one package,
# so that its two hundred dependencies are compiled once. `tests/it/opendal.rs` runs the program.
driver:
	RUSTC_WORKSPACE_WRAPPER=clippy-driver CLIPPY_ARGS="-Dwarnings__CLIPPY_HACKERY__" \
		cargo test $(EXAMPLE) --quiet

# Real-process tests start these; cargo builds no other package's programs for a test. Together with
# the tests, so that both use one build of every dependency.
programs:
	cargo build --locked --workspace --bins --tests

# Last, so that its summary ends the output.
tests: programs
	@if ! unshare --mount true 2>/dev/null; then \
		echo "not run as root: tests that mount a small disk leave that part out"; \
		export ONITU_TEST_NO_MOUNT=1; \
	fi; \
	if cargo nextest --version >/dev/null 2>&1; then \
		cargo nextest run --locked --workspace; \
	else \
		echo "cargo-nextest isn't installed: plain cargo test, slower and without time limits"; \
		cargo test --locked --workspace --lib --bins --tests --no-fail-fast -- --test-threads=$(THREADS) \
			| awk '{ print; fflush() } /^test result:/ { passed += $$4; failed += $$6 } \
				END { print passed + 0 " passed, " failed + 0 " failed" }'; \
	fi

# Far more rounds than the tests have time for.
ROUNDS ?= 200
crashes: need-tests
	cargo build --locked --workspace --bins
	cargo run --locked -p onitu-tests --bin crashes -- --rounds $(ROUNDS) $(if $(SEED),--seed $(SEED))

demo-clean:
	rm -rf demo state
