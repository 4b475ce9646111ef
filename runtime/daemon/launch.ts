/** A container that native/launch has asked its daemon for, so that no other Node.js starts (docs/design/processes.md). */
import { CaissonError } from "../../protocol/errors.ts";
import type { CommandOutcome, Launch } from "../control/protocol.ts";
import type { PlacedBundle } from "../sandbox/placement.ts";
import { toWireError } from "../text/errors.ts";
import { writePidFile } from "../text/pid-file.ts";

/** What of the daemon this needs. */
export interface Launching {
  create(): Promise<unknown>;
  start(): Promise<void>;
  /** The caller leaves. */
  detach(): Promise<void>;
}

/**
 * Creates the container and does what follows. An error is a part of the outcome: the command line's own process tells it, and ends what
 * is there by then.
 */
export async function launchContainer(launch: Launch, daemon: Launching): Promise<CommandOutcome> {
  try {
    await daemon.create();
    if (launch.pidFile !== undefined) writePidFile(launch.pidFile, process.pid);
    if (launch.starts) await daemon.start();
    if (!launch.leaves) return { started: true };
    await daemon.detach();
    return {};
  } catch (error) {
    return { error: toWireError(error) };
  }
}

/** @throws CaissonError where the command line's own process has a part in the container's life, or is to say what is wrong. */
export function requirePlain({ starts, leaves }: Launch, { config, placement }: PlacedBundle): void {
  if (config.process?.terminal === true) refuse("it has a terminal");
  // Hooks that run last, and a VM of others, are left to whoever outlives this process.
  if (starts && placement.kind !== "own") refuse("its VM is not its own");
  if (!leaves && (config.hooks?.poststop ?? []).length > 0) refuse("it has poststop hooks");
}

function refuse(why: string): never {
  throw new CaissonError("CAISSON_E_USAGE", `the daemon does not launch this container by itself: ${why}`);
}
