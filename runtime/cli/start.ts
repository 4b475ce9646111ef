import { existsSync } from "node:fs";
import { setTimeout } from "node:timers/promises";
import type { Command } from "commander";
import { CaissonError } from "../../protocol/errors.ts";
import { now } from "../process/clock.ts";
import { statePaths } from "../state/paths.ts";
import { readState } from "../state/store.ts";
import { type Globals, verb } from "./command.ts";
import { withDaemon } from "./daemon.ts";

/** A creation takes a second, unless its hooks do more. */
const CREATION_LIMIT_MS = 5000;
const POLL_MS = 10;

export function command(globals: Globals): Command {
  return verb("start", "Starts the process of a created container.")
    .argument("<container-id>")
    .action(async (id: string) => {
      await created(globals.root, id);
      await withDaemon(globals, id, "start", (client) => client.request("start", {}));
    });
}

/**
 * Resolves once the container is no longer being created: whoever runs `create` beside it may be a little ahead, and runc's
 * start waits, too.
 * @throws CaissonError as readState(), and CAISSON_E_STATE when that takes too long.
 */
async function created(root: string, id: string): Promise<void> {
  for (const end = now() + CREATION_LIMIT_MS; isUnderWay(root, id); await setTimeout(POLL_MS)) {
    if (now() >= end) throw new CaissonError("CAISSON_E_STATE", `container ${id} is still being created`);
  }
}

/** The daemon answers a moment after the status has changed. */
function isUnderWay(root: string, id: string): boolean {
  const { status } = readState(root, id);
  return status === "creating" || (status === "created" && !existsSync(statePaths(root, id).controlSocket));
}
