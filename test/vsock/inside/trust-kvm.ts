/**
 * Runs in the outer VM: remembers that its KVM works. That KVM is itself emulated, so a kernel takes half a minute to boot
 * under it, which is more than the probe allows a host.
 */
import { DEFAULT_SETTINGS_FILE, loadSettings } from "../../../runtime/config/load.ts";
import { makePrivateFolder } from "../../../runtime/factory/template/space.ts";
import { factsDirectory } from "../../../runtime/factory/vm-config.ts";
import { verdictPlace } from "../../../runtime/vm/accelerator.ts";
import { remember } from "../../../runtime/vm/host-cache.ts";
import { findQemu } from "../../../runtime/vm/qemu.ts";

const [file = DEFAULT_SETTINGS_FILE] = process.argv.slice(2);
const settings = loadSettings(file);
const facts = factsDirectory(settings);
makePrivateFolder(facts);
const { file: verdict, key } = verdictPlace(facts, await findQemu(facts, settings.qemu), settings.kernel);
remember(verdict, key, { usable: true });
