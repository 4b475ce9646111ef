/**
 * Runs in the outer VM: remembers that its KVM works, below the folder given. That KVM is itself emulated, so a kernel
 * takes half a minute to boot under it, which is more than the probe allows a host.
 */
import { DEFAULT_SETTINGS_FILE, loadSettings } from "../../runtime/config.ts";
import { verdictPlace } from "../../runtime/vm/accelerator.ts";
import { findQemu } from "../../runtime/vm/qemu.ts";
import { remember } from "../../runtime/vm/remembered.ts";

const [facts = "", settings = DEFAULT_SETTINGS_FILE] = process.argv.slice(2);
const { kernel, qemu: configured } = loadSettings(settings);
const { file, key } = verdictPlace(facts, await findQemu(facts, configured), kernel);
remember(file, key, { usable: true });
