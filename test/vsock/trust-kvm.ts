/**
 * Runs in the outer VM: remembers that its KVM works, below the folder given. That KVM is itself emulated, so a kernel
 * takes half a minute to boot under it, which is more than the probe allows a host.
 */
import { join } from "node:path";
import { DEFAULT_SETTINGS_FILE, loadSettings } from "../../runtime/config.ts";
import { fileIdentity, findQemu } from "../../runtime/vm/qemu.ts";
import { bootId, remember } from "../../runtime/vm/remembered.ts";

const [facts = "", settings = DEFAULT_SETTINGS_FILE] = process.argv.slice(2);
const { kernel, qemu: configured } = loadSettings(settings);
const qemu = await findQemu(facts, configured);
remember(join(facts, "kvm.json"), [bootId(), fileIdentity(qemu.path), fileIdentity(kernel)].join(" "), {
  usable: true,
});
