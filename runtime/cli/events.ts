import { setTimeout } from "node:timers/promises";
import type { Command } from "commander";
import { stringifyJson } from "../../protocol/json.ts";
import type { ControlClient } from "../control/client.ts";
import { memoryExhausted } from "../guest/memory-exhausted.ts";
import { now } from "../process/clock.ts";
import { print } from "../text/stdout.ts";
import { withDaemon } from "./actions/daemon.ts";
import { type Globals, verb } from "./command.ts";
import { durationMs } from "./duration.ts";
import { oomKills, statsData, vmIsExhausted, type WireStats } from "./stats-event.ts";

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
      return withDaemon(globals, id, "stats", async (client) => {
        if (stats === true) printStats(id, (await read(client)).stats);
        else await watch(client, id, ms);
      });
    });
}

/** How often it looks whether the kernel has killed for want of memory, which is told at once. */
const LOOK_MS = 1000;
/** How much too early a timer may come. */
const TIMER_ERROR_MS = 2;

async function watch(client: ControlClient, id: string, intervalMs: number): Promise<void> {
  const over = new AbortController();
  const ended = client
    .request("wait", {})
    .catch(() => undefined)
    .finally(() => over.abort());
  let kills = oomKills((await read(client)).stats);
  let told = kills;
  let nextStats = now() + intervalMs;
  while (await elapses(Math.min(LOOK_MS, nextStats - now()), over.signal)) {
    let reading: Reading;
    try {
      reading = await read(client);
    } catch (error) {
      // The end of the container makes a reading fail, and is told at about the same time.
      await Promise.race([ended, elapses(1000, over.signal)]);
      if (over.signal.aborted) break;
      throw error;
    }
    const { stats, vmMemoryMib } = reading;
    kills = oomKills(stats);
    for (; told < kills; told += 1n) printOom(id, vmIsExhausted(stats) ? memoryExhausted(vmMemoryMib) : undefined);
    if (now() < nextStats - TIMER_ERROR_MS) continue;
    printStats(id, stats);
    nextStats = now() + intervalMs;
  }
  // A kill that ended the container came after the last reading.
  const exit = await ended;
  if (exit?.oomKilled === true && kills === 0n) printOom(id, exit.memoryExhausted);
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

interface Reading {
  stats: WireStats;
  vmMemoryMib: number;
}

async function read(client: ControlClient): Promise<Reading> {
  const { stats, vmMemoryMib } = await client.request("stats", {});
  return { stats: stats as WireStats, vmMemoryMib };
}

/** The event as runc prints it; where it was not a limit of the container's that was hit, `reason` says what was exhausted. */
function printOom(id: string, reason: string | undefined): void {
  printEvent({ type: "oom", id, ...(reason !== undefined && { data: { reason } }) });
}

function printStats(id: string, stats: WireStats): void {
  printEvent({ type: "stats", id, data: statsData(stats) });
}

function printEvent(event: object): void {
  print(`${stringifyJson(event)}\n`);
}
