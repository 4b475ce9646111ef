# The guest's kernel, initramfs and root. Included by the top Makefile, run from the top folder.

IMAGE_MANIFEST := out/image/manifest.json
IMAGE_INPUTS := out/agent.cjs out/native/caisson-init out/native/container-init out/native/guest/posix.node out/native/guest/vsock.node \
  $(filter-out %.test.ts,$(wildcard guest-image/*.ts)) $(wildcard guest-image/*.txt) $(GUEST_TOOLS)

.PHONY: guest-image
guest-image: $(IMAGE_INPUTS) $(OUT)/.npm ## build the guest's kernel, initramfs and root image
	@$(NODE) guest-image/build.ts

$(IMAGE_MANIFEST): $(IMAGE_INPUTS) $(OUT)/.npm
	@$(NODE) guest-image/build.ts

TOOLS_INPUTS := guest-image/packages.lock $(addprefix guest-image/,$(addsuffix .ts,failure lock make-tools mirror modules packages run tools))
$(GUEST_TOOLS): $(TOOLS_INPUTS) | $(OUT)/.npm
	@scripts/step.sh "unpack the guest's packages and its compiler" $(NODE) guest-image/make-tools.ts
	@touch $@

.PHONY: guest-lock
guest-lock: $(OUT)/.npm ## take the newest packages of the guest's Debian release into guest-image/packages.lock, and say what changes
	@$(NODE) guest-image/update-lock.ts
