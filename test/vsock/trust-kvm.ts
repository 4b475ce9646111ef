/**
 * Runs in the outer VM: remembers that its KVM works. That KVM is itself emulated, so a kernel takes half a minute to boot
 * under it, which is more than the probe allows a host.
 */
import { DEFAULT_SETTINGS_FILE, loadSettings } from "../../runtime/config/load.ts";
import { factsDirectory } from "../../runtime/sandbox/vm-choice.ts";
import { verdictPlace } from "../../runtime/vm/accelerator.ts";
import { findQemu } from "../../runtime/vm/qemu.ts";
import { remember } from "../../runtime/vm/remembered.ts";
import { makePrivateFolder } from "../../runtime/vm/template/space.ts";

const [file = DEFAULT_SETTINGS_FILE] = process.argv.slice(2);
const settings = loadSettings(file);
const facts = factsDirectory(settings);
makePrivateFolder(facts);
const { file: verdict, key } = verdictPlace(facts, await findQemu(facts, settings.qemu), settings.kernel);
remember(verdict, key, { usable: true });
