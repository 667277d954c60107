# What one does with Billwire. `make` alone prints the list.
#
# Everything a target needs beyond Rust, Python 3 and the package registries it installs into .tools/ (ignored by git); the one
# exception is PostgreSQL, which `make test` and `make bench` install from the system's packages when it is missing and we may.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# .ci/run passes LOCKED=--locked: a build must not change Cargo.lock.
LOCKED ?=
target := $(or $(CARGO_TARGET_DIR),target)

.PHONY: run test soak bench fuzz check clients help

help: ## print this list
	@awk -F ': ## ' '/^[a-z]+: ## / { printf "  make %-8s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

run: ## start the gateway on this machine with a private nats-server, play a short story, stay up (Ctrl-C ends it)
	@if [ -z "$${BILLWIRE_NATS_URL:-}$${BILLWIRE_NATS_SERVER:-}" ]; then BILLWIRE_NATS_SERVER=$$(tools/nats-server); export BILLWIRE_NATS_SERVER; fi; \
	cargo build $(LOCKED) -p billwire; \
	exec $(target)/debug/billwire dev

# The whole workspace is built first, not the program alone: dependencies have other features then, and would be built twice. More tests run than
# there are processors, because they often wait for processes and deadlines.
test: ## run all tests: SQLite, PostgreSQL, nats-server, third-party peers
	@cargo build $(LOCKED) --workspace
	@RUST_TEST_THREADS=$${RUST_TEST_THREADS:-$$(( $$(getconf _NPROCESSORS_ONLN) * 3 / 2 ))} tools/with-services cargo test $(LOCKED) --workspace --no-fail-fast

soak: ## the long drills, seven hours: a million events, a thousand histories of billing, purges, sleeping relays, full disks, retention, restores, refills
	@cargo build $(LOCKED) --release -p billwire
	@BILLWIRE_TEST_PROGRAM="$(abspath $(target)/release/billwire)" \
		BILLWIRE_TEST_SOAK_EVENTS=1000000 BILLWIRE_TEST_SOAK_CLIENT_PAUSE_MS=100 \
		BILLWIRE_TEST_SOAK_PURGES=60 BILLWIRE_TEST_SOAK_PURGE_EVERY_MS=60000 \
		BILLWIRE_TEST_SOAK_RELAY_PAUSES=10 BILLWIRE_TEST_SOAK_RELAY_PAUSE_MS=180000 \
		BILLWIRE_TEST_SOAK_DISK_ROUNDS=20 BILLWIRE_TEST_SOAK_RETENTION_MS=3600000 \
		BILLWIRE_TEST_SOAK_ONCE_ROUNDS=1000 BILLWIRE_TEST_SOAK_BILLING_SEEDS=500 BILLWIRE_TEST_SOAK_RESTORES=20 BILLWIRE_TEST_SOAK_REFILL_EVENTS=100000 \
		tools/with-services cargo test $(LOCKED) --release -p billwire-tests --test it -- soak:: --nocapture

bench: ## measure throughput and latency beside their physical limits (tests/bench/RESULTS.md)
	@cargo build $(LOCKED) --release -p billwire
	@BILLWIRE_TEST_PROGRAM="$(abspath $(target)/release/billwire)" tools/with-services cargo run $(LOCKED) --release -p billwire-tests --bin bench

FUZZ_MINUTES ?= 10
FUZZ_REQUESTS ?= 15
FUZZ_SEED ?= $(shell date +%s)

fuzz: ## look for templates, expressions, schemas and paths that abort, take long or fill the memory (FUZZ_MINUTES, 10), then for requests that are not answered as documented
	@cargo build $(LOCKED) --release -p billwire
	@BILLWIRE_TEST_PROGRAM="$(abspath $(target)/release/billwire)" \
		cargo run $(LOCKED) --release -p billwire-tests --bin fuzz -- $$(( $(FUZZ_MINUTES) * 60 ))
	@BILLWIRE_TEST_PROGRAM="$(abspath $(target)/release/billwire)" BILLWIRE_TEST_FUZZ_SEED=$(FUZZ_SEED) \
		BILLWIRE_TEST_FUZZ_SYSTEMATIC=1000 BILLWIRE_TEST_FUZZ_RANDOM=$(FUZZ_REQUESTS) \
		tools/with-services cargo test $(LOCKED) --release -p billwire-tests --test it -- fuzz_api:: --nocapture

check: ## formatting, lints, documentation, dependencies, the OpenAPI documents, and every file in deploy/ and tools/
	@echo "-- cargo fmt"
	@cargo fmt --all --check
	@echo "-- cargo clippy"
	@cargo clippy $(LOCKED) --quiet --workspace --all-targets -- -D warnings
	@echo "-- cargo check without the feature dev, as the image is built"
	@cargo check $(LOCKED) --quiet -p billwire --no-default-features
	@echo "-- cargo doc"
	@RUSTDOCFLAGS="-D warnings -A rustdoc::private_intra_doc_links" cargo doc $(LOCKED) --quiet --workspace --no-deps --document-private-items
	@tools/check-files
	@echo "-- the OpenAPI documents by the rules of Spectral and Redocly"
	@tools/lint-openapi

clients: ## generate clients in six languages from openapi/openapi.json into target/clients, and build them
	@tools/clients $(target)/clients
