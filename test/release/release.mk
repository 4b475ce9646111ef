# The tests on another release of Debian, with its QEMU, its compiler, its engines and a guest of its kernel, in a root file system
# of its own: make test-release RELEASE=trixie. Works for any release that the mirror of this machine's apt has.

RELEASE ?= trixie
# A root takes 3 GB, and stays for the next time.
RELEASES ?= /var/tmp/caisson-releases
RELEASE_TESTS ?= $(wildcard test/vm/*.test.ts test/functional/*.test.ts test/conformance/*.test.ts test/engines/*.test.ts test/containerd/*.test.ts)
# Node and npm's packages come with the checkout.
RELEASE_PACKAGES = $(filter-out nodejs npm,$(DEBIAN_PACKAGES)) $(ENGINES) procps bsdextrautils

.PHONY: test-release
test-release: all ## the tests in VMs and with engines on another Debian; RELEASE=trixie RELEASE_TESTS="test/functional/run.test.ts" RELEASES=FOLDER
	@scripts/packages.sh mmdebstrap
	@test/release/run.sh "$(RELEASES)/$(RELEASE)" $(RELEASE) "$(RELEASE_PACKAGES)" run test-files TEST_FILES="$(RELEASE_TESTS)" TEST_JOBS=$(TEST_JOBS)
