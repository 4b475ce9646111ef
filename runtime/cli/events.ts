import { setTimeout } from "node:timers/promises";
import type { Command } from "commander";
import { stringifyJson } from "../../protocol/json.ts";
import type { ControlClient } from "../control/client.ts";
import { type Globals, verb } from "./command.ts";
import { withDaemon } from "./daemon.ts";
import { durationMs } from "./duration.ts";
import { print } from "./output.ts";
import { oomKills, statsData, type WireStats } from "./stats-event.ts";

export function command(globals: Globals): Command {
  return verb(
    "events",
    "Prints a container's statistics and out-of-memory events, one JSON object a line, until it ends.",
  )
    .argument("<container-id>")
    .option("--interval <duration>", "time between statistics, e.g. 1m30s", "5s")
    .option("--stats", "print the statistics once")
    .action((id: string, { interval, stats }: { interval: string; stats?: boolean }) => {
      const ms = durationMs(interval);
      return withDaemon(globals, id, { stopped: `container with id ${id} is not running` }, async (client) => {
        if (stats === true) printStats(id, await read(client));
        else await watch(client, id, ms);
      });
    });
}

async function watch(client: ControlClient, id: string, intervalMs: number): Promise<void> {
  const over = new AbortController();
  const ended = client
    .request("wait", {})
    .catch(() => {})
    .finally(() => over.abort());
  let kills = oomKills(await read(client));
  while (await elapses(intervalMs, over.signal)) {
    let stats: WireStats;
    try {
      stats = await read(client);
    } catch (error) {
      // The end of the container makes a reading fail, and is told at about the same time.
      await Promise.race([ended, elapses(1000, over.signal)]);
      if (over.signal.aborted) return;
      throw error;
    }
    const now = oomKills(stats);
    for (; kills < now; kills += 1n) printEvent({ type: "oom", id });
    printStats(id, stats);
  }
}

/** False when the signal came first. */
async function elapses(ms: number, signal: AbortSignal): Promise<boolean> {
  try {
    await setTimeout(ms, undefined, { signal });
    return true;
  } catch {
    return false;
  }
}

async function read(client: ControlClient): Promise<WireStats> {
  return (await client.request("stats", {})).stats as WireStats;
}

function printStats(id: string, stats: WireStats): void {
  printEvent({ type: "stats", id, data: statsData(stats) });
}

function printEvent(event: object): void {
  print(`${stringifyJson(event)}\n`);
}
