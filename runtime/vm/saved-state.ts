/** The device state of a saved VM, in a file: how each version of QEMU takes a descriptor of it. */
import { compareVersions, type QemuVersion } from "./qemu.ts";
import type { ExecuteOptions, QmpClient } from "./qmp.ts";

const NAME = "state";
const SET = 3;
/** Where `file:` takes a set of descriptors. `fd:` takes no file since 11.0 (removed-features.rst of QEMU). */
const FILE_URI: QemuVersion = [9, 0, 0];
const URI = `file:/dev/fdset/${SET}`;

/** What a QEMU has on its command line that inherits the state as `fd`. */
export function stateArguments(version: QemuVersion, fd: number): string[] {
  return takesFile(version) ? ["-add-fd", `fd=${fd},set=${SET}`] : [];
}

/** What `migrate-incoming` calls the state that QEMU has inherited as `fd`. */
export function incomingUri(version: QemuVersion, fd: number): string {
  return takesFile(version) ? URI : `fd:${fd}`;
}

/**
 * Gives QEMU a file for its state, as `fd`, which is for writing only.
 * @returns what `migrate` calls it.
 * @throws what QmpClient's commands throw.
 */
export async function giveStateFile(
  qmp: QmpClient,
  version: QemuVersion,
  fd: number,
  options: ExecuteOptions,
): Promise<string> {
  if (takesFile(version)) {
    await qmp.addDescriptor(SET, fd, options);
    return URI;
  }
  await qmp.passDescriptor(NAME, fd, options);
  return `fd:${NAME}`;
}

function takesFile(version: QemuVersion): boolean {
  return compareVersions(version, FILE_URI) >= 0;
}
