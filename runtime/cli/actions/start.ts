import { existsSync } from "node:fs";
import { CaissonError } from "../../../protocol/errors.ts";
import type { GlobalSettings } from "../../control/plain-command.ts";
import { now } from "../../process/clock.ts";
import { delay } from "../../process/delay.ts";
import { statePaths } from "../../state/paths.ts";
import { readState } from "../../state/store.ts";
import { askDaemon } from "./daemon.ts";

/** A creation takes a second, unless its hooks do more. */
const CREATION_LIMIT_MS = 5000;
const POLL_MS = 10;

/** Lets a created container's process go. */
export async function start(globals: GlobalSettings, id: string): Promise<void> {
  await created(globals.root, id);
  askDaemon(globals, id, "start", {});
}

/**
 * Resolves once the container is no longer being created: whoever runs `create` beside it may be a little ahead, and runc's
 * start waits, too.
 * @throws CaissonError as readState(), and CAISSON_E_STATE when that takes too long.
 */
async function created(root: string, id: string): Promise<void> {
  for (const end = now() + CREATION_LIMIT_MS; isUnderWay(root, id); await delay(POLL_MS)) {
    if (now() >= end) throw new CaissonError("CAISSON_E_STATE", `container ${id} is still being created`);
  }
}

/** The daemon answers a moment after the status has changed. */
function isUnderWay(root: string, id: string): boolean {
  const { status } = readState(root, id);
  return status === "creating" || (status === "created" && !existsSync(statePaths(root, id).controlSocket));
}
