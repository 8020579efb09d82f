# The menu. `make help` lists it.

CARGO  ?= cargo
TARGET := $(or $(CARGO_TARGET_DIR),target)
CONTROLPLANE := $(TARGET)/controlplane

.PHONY: help build release first-symbols demo bench test fmt lint unit e2e weather score fuzz fuzz-sops fuzz-receivers bench-overlay bench-sops deny crds controlplane stores clean
.DEFAULT_GOAL := help

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /  make \1 — /p' $(MAKEFILE_LIST)

build: ## the weir binary, for development
	$(CARGO) build --workspace

release: ## the weir binary, for use: target/release/weir
	$(CARGO) build --release -p weir

first-symbols: release ## write which functions come first in the binary, for the next release build (needs valgrind)
	controller/link/trace $(abspath $(TARGET)/release/weir) \
	  "$$(ls -t $(TARGET)/release/build/weir-*/out/weir.map | head -1)" > controller/link/first.symbols.new
	mv controller/link/first.symbols.new controller/link/first.symbols

demo: need ## watch a Git commit become running objects in a real API server (KEEP=1 stays up)
	@$(MAKE) --no-print-directory controlplane
	$(CARGO) build --workspace
	@WEIR_CONTROLPLANE=$(abspath $(CONTROLPLANE)) WEIR_BIN=$(abspath $(TARGET)/debug/weir) $(TARGET)/debug/demo $(if $(KEEP),--keep)

bench: need controlplane ## what Weir costs beside its goals, on a real control plane (ONLY=100 for a quick look)
	$(CARGO) build --release -p weir -p weir-tests --bin weir --bin bench --features weir/jemalloc
	@WEIR_CONTROLPLANE=$(abspath $(CONTROLPLANE)) WEIR_BIN=$(abspath $(TARGET)/release/weir) $(TARGET)/release/bench $(ONLY)

test: need fmt lint unit e2e ## everything that CI runs

fmt: ## formatting
	$(CARGO) fmt --all --check

lint: ## clippy, warnings denied
	$(CARGO) clippy --workspace --all-targets -- -D warnings

unit: ## unit tests and golden folders
	$(CARGO) test --workspace --exclude weir-tests

e2e: controlplane stores ## end-to-end tests on a real control plane, real Git servers and in Chromium
	$(CARGO) build -p weir
	WEIR_CONTROLPLANE=$(abspath $(CONTROLPLANE)) WEIR_BIN=$(abspath $(TARGET)/debug/weir) $(CARGO) test -p weir-tests

weather: controlplane ## ten minutes of commits while the road to the API server breaks in every way
	$(CARGO) build --workspace
	WEATHER=600 WEIR_CONTROLPLANE=$(abspath $(CONTROLPLANE)) WEIR_BIN=$(abspath $(TARGET)/debug/weir) \
	  $(CARGO) test -p weir-tests --test end_to_end weather -- --nocapture

score: ## the conformance cases, when they are at hand beside the repository
	@.ci/score

SECONDS ?= 5
fuzz: ## fuzz the composer: each target for SECONDS (default 5); TARGETS names some
	@SECONDS_EACH=$(SECONDS) overlay/fuzz/run $(TARGETS)

fuzz-sops: ## fuzz the reader of encrypted files, likewise
	@SECONDS_EACH=$(SECONDS) sops/fuzz/run $(TARGETS)

fuzz-receivers: ## fuzz the calls of Git servers and registries, likewise
	@SECONDS_EACH=$(SECONDS) controller/fuzz/run $(TARGETS)

bench-overlay: ## builds beside kustomize's (from PATH, or KUSTOMIZE=PROGRAM; CORPUS=FOLDER adds the conformance cases)
	$(CARGO) build -q --release -p weir
	WEIR=$(abspath $(TARGET)/release/weir) $(CARGO) bench -q -p weir-overlay --bench builds

bench-sops: ## how fast encrypted files open, beside the sops program (from PATH, or SOPS=PROGRAM)
	$(CARGO) run -q --release -p weir-sops --example bench -- --sops "$(or $(SOPS),$(shell command -v sops))"

deny: ## licences, sources and duplicate dependencies (needs cargo-deny)
	cargo deny check licenses bans sources

crds: ## write deploy/crds from the Rust types
	$(CARGO) run -q -p weir --example crds

stores: ## a container registry and an S3 server, for the tests
	@$(MAKE) --no-print-directory -C tests/stores OUTPUT=$(abspath $(TARGET))

controlplane: ## etcd, kube-apiserver, kube-controller-manager and kube-scheduler as one test binary
	@$(MAKE) --no-print-directory -C tests/controlplane OUTPUT=$(abspath $(CONTROLPLANE))

clean: ## remove what was built
	$(CARGO) clean

.PHONY: need
need:
	@for tool in cargo go git; do command -v $$tool >/dev/null || { \
	  echo "weir: '$$tool' is missing: building needs Rust 1.95 (cargo), Go 1.26 (go) and git"; exit 1; }; done
