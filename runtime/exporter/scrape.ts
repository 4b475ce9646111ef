import type { StoredTemplate } from "../factory/template/store.ts";
import type { MeasuredProcess, Measurement } from "../metrics/measurement.ts";
import { readTotals, type Totals } from "../metrics/totals.ts";
import { codeOf } from "../text/errors.ts";
import { askToMeasure } from "./ask.ts";
import { type HostProcess, readHostProcess } from "./host-process.ts";
import { type KnownSandbox, knownSandboxes, uniqueIds } from "./sandboxes.ts";

/** A sandbox, as it was when it was asked. */
export interface ScrapedSandbox {
  id: string;
  known: KnownSandbox;
  /** How it is, or why that is not known. */
  measured: Measurement | { problem: string };
  processes: { process: MeasuredProcess; reading: HostProcess }[];
}

/** All that is written of a host. */
export interface Scrape {
  sandboxes: ScrapedSandbox[];
  templates: { template: StoredTemplate; forkServer: HostProcess | undefined }[];
  totals: Totals;
  /** Records that could not be read. */
  skipped: number;
  seconds: number;
}

export interface ScrapeOptions {
  root: string;
  /** The templates that there are. */
  templates(): StoredTemplate[];
}

/** How many sandboxes are asked at a time: a host may have hundreds. */
const AT_ONCE = 16;

/** Asks every sandbox that runs how it is, each with a limit. Throws CAISSON_E_STORAGE when the states cannot be read. */
export async function scrape({ root, templates }: ScrapeOptions): Promise<Scrape> {
  const start = performance.now();
  let skipped = 0;
  const known = knownSandboxes(root, () => {
    skipped += 1;
  }).filter(({ record }) => record.status !== "stopped");
  const ids = uniqueIds(known);
  const scraped: ScrapedSandbox[] = [];
  const waiting = [...known];
  const work = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      scraped.push(await scrapeSandbox(next, ids.get(next) ?? next.id));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  const stored = await Promise.all(
    templates().map(async (template) => ({
      template,
      forkServer: template.forkServer === undefined ? undefined : await readHostProcess(template.forkServer),
    })),
  );
  const sandboxes = onePerVm(scraped);
  return { sandboxes, templates: stored, totals: readTotals(), skipped, seconds: (performance.now() - start) / 1000 };
}

async function scrapeSandbox(known: KnownSandbox, id: string): Promise<ScrapedSandbox> {
  try {
    const measured = await askToMeasure(known.directory);
    const readings = await Promise.all(
      measured.processes.map(async (process) => ({ process, reading: await readHostProcess(process.pid) })),
    );
    const processes = readings.flatMap(({ process, reading }) => (reading === undefined ? [] : { process, reading }));
    return { id, known, measured, processes };
  } catch (error) {
    return { id, known, measured: { problem: codeOf(error) }, processes: [] };
  }
}

/** Containers that share a VM answer for the same one: it is shown once, as the one that it is named after. */
function onePerVm(scraped: readonly ScrapedSandbox[]): ScrapedSandbox[] {
  const byDaemon = new Map<number | string, ScrapedSandbox>();
  for (const each of scraped) {
    const { measured, known } = each;
    const daemon = "processes" in measured ? measured.processes[0]?.pid : undefined;
    const key = daemon ?? known.directory;
    const other = byDaemon.get(key);
    const isNamesake = "processes" in measured && measured.id === known.record.id;
    if (other === undefined || isNamesake) byDaemon.set(key, each);
  }
  return [...byDaemon.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
}
