# The tests that need a kernel with vhost_vsock and vsock_loopback; they bring it with them, in a VM. Minutes, not seconds.

VSOCK_TESTS := $(wildcard test/vsock/*.test.ts)

.PHONY: test-vsock
test-vsock: all ## run the main job, and native/vsock's tests, over the vsock of a real kernel (in a VM that has it)
	@$(NODE) --test --test-concurrency=1 --test-timeout=2400000 $(VSOCK_TESTS)
