/** What `exec` runs: an OCI process out of the container's own one, or a file's, and the command line. */
import { CAPABILITIES } from "../../protocol/capabilities.ts";
import { CaissonError } from "../../protocol/errors.ts";
import type { Capabilities, Process, User } from "../../protocol/oci.ts";

/** Flags of `exec` that shape the process; an absent one leaves what the process has. */
export interface ProcessFlags {
  tty?: boolean;
  user?: string;
  additionalGids?: readonly number[];
  env?: readonly string[];
  cwd?: string;
  cap?: readonly string[];
  noNewPrivs?: boolean;
}

const UID_GID = /^(\d+)(?::(\d+))?$/;
const LARGEST_ID = 2 ** 32 - 2;

/** The container's process with another command: only `--tty` gives it a terminal, whatever the container has. */
export function commandProcess(base: Process, args: readonly string[], flags: ProcessFlags): Process {
  const { consoleSize: _size, ...rest } = base;
  return applyFlags({ ...rest, args: [...args], terminal: false }, flags);
}

/** `process` changed as the flags say; `--env`, `--cap` and `--additional-gids` add to what it has. */
export function applyFlags(process: Process, flags: ProcessFlags): Process {
  return {
    ...process,
    ...(flags.tty === true && { terminal: true }),
    ...(flags.cwd !== undefined && { cwd: flags.cwd }),
    ...(flags.noNewPrivs === true && { noNewPrivileges: true }),
    ...(flags.env !== undefined && { env: addVariables(process.env ?? [], flags.env) }),
    ...(flags.cap !== undefined && { capabilities: addCapabilities(process.capabilities ?? {}, flags.cap) }),
    ...((flags.user ?? flags.additionalGids) !== undefined && { user: changeUser(process.user ?? {}, flags) }),
  };
}

function changeUser(user: User, { user: text, additionalGids = [] }: ProcessFlags): User {
  return {
    ...user,
    ...(text !== undefined && parseUser(text)),
    ...(additionalGids.length > 0 && { additionalGids: [...(user.additionalGids ?? []), ...additionalGids] }),
  };
}

/**
 * `UID` or `UID:GID`, numbers only: names belong to the container's own files, which the host does not trust.
 * @throws CaissonError CAISSON_E_USAGE for anything else.
 */
export function parseUser(text: string): { uid: number; gid?: number } {
  const match = UID_GID.exec(text);
  const uid = Number(match?.[1]);
  const gid = match?.[2] === undefined ? undefined : Number(match[2]);
  if (match === null || uid > LARGEST_ID || (gid ?? 0) > LARGEST_ID) {
    throw new CaissonError("CAISSON_E_USAGE", `--user: "${text}" is not a user and group as <uid>[:<gid>]`, {
      remedy: `Give numbers from 0 to ${LARGEST_ID}, e.g. --user 1000:1000.`,
    });
  }
  return gid === undefined ? { uid } : { uid, gid };
}

/** A later variable replaces an earlier one of its name, so that programs agree on which one counts. */
function addVariables(present: readonly string[], added: readonly string[]): string[] {
  for (const variable of added) {
    if (variable.indexOf("=") < 1) {
      throw new CaissonError("CAISSON_E_USAGE", `--env: "${variable}" is not a variable as NAME=value`);
    }
  }
  const names = new Set(added.map(nameOf));
  return [...present.filter((variable) => !names.has(nameOf(variable))), ...added];
}

function nameOf(variable: string): string {
  return variable.slice(0, variable.indexOf("="));
}

/**
 * A name that nobody knows is a slip of whoever typed it, where one in a configuration may be a newer kernel's.
 * Into the ambient set as well, where the agent raises what is inheritable, too: others the kernel refuses (capabilities(7)).
 */
function addCapabilities(capabilities: Capabilities, names: readonly string[]): Capabilities {
  const added = names.map((name) => {
    const upper = name.toUpperCase();
    const full = upper.startsWith("CAP_") ? upper : `CAP_${upper}`;
    if (!(CAPABILITIES as readonly string[]).includes(full)) {
      throw new CaissonError("CAISSON_E_USAGE", `--cap: ${JSON.stringify(name)} is not a capability`, {
        remedy: "capabilities(7) lists them.",
      });
    }
    return full;
  });
  const union = (set: readonly string[] = []) => [...new Set([...set, ...added])];
  return {
    ...capabilities,
    bounding: union(capabilities.bounding),
    effective: union(capabilities.effective),
    permitted: union(capabilities.permitted),
    ambient: union(capabilities.ambient),
  };
}
