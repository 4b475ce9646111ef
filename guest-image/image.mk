# The guest's kernel, initramfs and root. Included by the top Makefile, run from the top folder.

IMAGE_MANIFEST := out/image/manifest.json
IMAGE_INPUTS := out/agent.cjs out/native/caisson-init out/native/container-init out/native/posix.node out/native/vsock.node \
  $(filter-out %.test.ts,$(wildcard guest-image/*.ts)) guest-image/modules.txt guest-image/load.txt

.PHONY: guest-image
# Always asks apt whether it has newer packages; $(IMAGE_MANIFEST) alone is rebuilt for newer sources only.
guest-image: $(IMAGE_INPUTS) $(OUT)/.npm ## build the guest's kernel, initramfs and root image
	@$(NODE) guest-image/build.ts

$(IMAGE_MANIFEST): $(IMAGE_INPUTS) $(OUT)/.npm
	@$(NODE) guest-image/build.ts
