# The tests on another release of Debian, with its QEMU, its compiler and its engines, in a root file system of its own:
# make test-release RELEASE=trixie. Works for any release that the mirror of this machine's apt has.

RELEASE ?= trixie
# A root takes 3 GB, and stays for the next time.
RELEASES ?= /var/tmp/caisson-releases
RELEASE_ROOT = $(RELEASES)/$(RELEASE)
RELEASE_TESTS ?= $(wildcard test/vm/*.test.ts test/functional/*.test.ts test/conformance/*.test.ts test/engines/*.test.ts test/containerd/*.test.ts)
# Node and npm's packages come with the checkout. systemd is for the VM of test-vsock.
RELEASE_PACKAGES = $(filter-out nodejs npm,$(DEBIAN_PACKAGES)) $(ENGINES) $(TEST_PACKAGES) systemd-sysv dbus

.PHONY: test-image test-release test-release-vsock
test-image: guest-image ## build the guest image on another Debian, and compare the bytes; RELEASE=trixie RELEASES=FOLDER
	@scripts/packages.sh mmdebstrap
	@test/release/run.sh "$(RELEASE_ROOT)" $(RELEASE) "$(RELEASE_PACKAGES)" guest-image
	@scripts/step.sh "compare the guest images" cmp $(IMAGE_MANIFEST) "$(RELEASE_ROOT)/root/caisson/$(IMAGE_MANIFEST)"

test-release: all test-image ## the tests in VMs and with engines on another Debian; RELEASE=trixie RELEASE_TESTS="test/functional/run.test.ts" RELEASES=FOLDER
	@scripts/packages.sh mmdebstrap
	@test/release/run.sh "$(RELEASE_ROOT)" $(RELEASE) "$(RELEASE_PACKAGES)" run test-files TEST_FILES="$(RELEASE_TESTS)" TEST_JOBS=$(TEST_JOBS) RESULTS=out/results.json

# The VM's files are the root's, and so are the QEMUs in it and around it.
test-release-vsock: all test-image ## test-vsock with QEMU, engines and systemd of another Debian; RELEASE=trixie VSOCK_TESTS=test/vsock/run.test.ts
	@test/release/run.sh "$(RELEASE_ROOT)" $(RELEASE) "$(RELEASE_PACKAGES)" test-vsock VSOCK_TESTS="$(VSOCK_TESTS)"
