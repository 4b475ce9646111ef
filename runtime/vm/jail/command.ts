import { builtFile } from "../../../native/addon.ts";

/** What a program may do and see that is started by native/jail. */
export interface Jail {
  /** The user and group it runs as. */
  uid: number;
  /** Numbers of the capabilities that it keeps (linux/capability.h). */
  capabilities: readonly number[];
  /** Files, and folders without what is mounted below them, that it reads, at their own paths. */
  files: readonly string[];
  /** Devices of the host's that it uses. */
  devices: readonly string[];
  /** How much memory it may lock (RLIMIT_MEMLOCK), if not as much as this process. */
  lockedMemoryBytes?: number | undefined;
  /** How many descriptors it is given, from 0 on. */
  descriptors: number;
  /** Whether it ends with this process. */
  withParent: boolean;
}

/** The words that start a program in a jail. */
export function jailCommand(jail: Jail, program: readonly string[]): [file: string, words: string[]] {
  const each = (option: string, values: readonly (string | number)[]) =>
    values.flatMap((value) => [option, `${value}`]);
  const words = [
    ...["--uid", String(jail.uid)],
    ...each("--keep", jail.capabilities),
    ...each("--show", jail.files),
    ...each("--device", jail.devices),
    ...["--descriptors", String(jail.descriptors)],
    ...(jail.lockedMemoryBytes === undefined ? [] : ["--locked-memory", String(jail.lockedMemoryBytes)]),
    ...(jail.withParent ? ["--with-parent"] : []),
  ];
  return [builtFile("jail"), [...words, "--", ...program]];
}
