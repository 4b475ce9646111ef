/**
 * `make bench`: measures this machine, prints each figure beside its promise (docs/specification.md), and writes
 * out/bench/bench.json and bench.svg. BENCH_RUNS=n takes n runs of each in place of ten; BENCH_PARTS="starts crowd" measures
 * only these.
 */
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { copyFileSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";
import { log } from "../../runtime/text/log.ts";
import { BARE_MEMORY, BARE_SHARE, BareGuest } from "./bare-guest.ts";
import { CONTAINER_MEMORY, ContainerShell } from "./container-shell.ts";
import { Crowd } from "./crowd.ts";
import { Figures } from "./figures.ts";
import { timeFiles } from "./files.ts";
import { currentLoad, type HostFacts, hostFacts } from "./host-facts.ts";
import { timeLarge, timeMany } from "./large.ts";
import { measureNetwork } from "./network.ts";
import { medianPhases, type Phase } from "./phases.ts";
import { picture } from "./picture.ts";
import { measurePods } from "./pods.ts";
import { peakMemory } from "./process.ts";
import { parsePromises } from "./promises.ts";
import { report } from "./report.ts";
import { measureSoftware, NPM_TASKS, TASKS } from "./software.ts";
import { Starts } from "./starts.ts";
import { PEAK_AFTER_MIB, STDIO_MIB, testData, timeStdio } from "./stdio.ts";
import { Workspace } from "./workspace.ts";

const TOP = join(import.meta.dirname, "../..");
const OUTPUT = join(TOP, "out/bench");
const BUSYBOX = "/bin/busybox";
const DEFAULT_RUNS = 10;
const MIB = 1024 * 1024;
/** In the order that they are measured in. */
const PARTS = ["starts", "streams", "files", "network", "pods", "crowd", "software", "npm"] as const;
type Part = (typeof PARTS)[number];

interface Outcome {
  facts: HostFacts;
  figures: Figures;
  phases: Phase[];
}

const began = performance.now();

function progress(text: string): void {
  console.error(`  ${((performance.now() - began) / 1000).toFixed(0).padStart(5)} s  ${text}`);
}

function wantedRuns(text: string | undefined): number {
  if (text === undefined || text === "") return DEFAULT_RUNS;
  const runs = Number(text);
  if (Number.isInteger(runs) && runs > 0) return runs;
  throw new RangeError(`BENCH_RUNS must be a whole number above 0, not "${text}".`);
}

function wantedParts(text: string | undefined): readonly Part[] {
  const names = (text ?? "").split(" ").filter((name) => name !== "");
  const unknown = names.filter((name) => !PARTS.includes(name as Part));
  if (unknown.length > 0)
    throw new RangeError(`BENCH_PARTS has ${unknown.join(", ")}, but may have: ${PARTS.join(", ")}.`);
  return names.length === 0 ? PARTS : PARTS.filter((part) => names.includes(part));
}

/** A root file system of busybox, the same for every runtime. */
function makeRootfs(workspace: Workspace, name: string): string {
  const rootfs = workspace.folder(name);
  for (const folder of ["bin", "dev", "etc", "proc", "sys", "tmp", "data"]) mkdirSync(join(rootfs, folder));
  copyFileSync(BUSYBOX, join(rootfs, "bin/busybox"));
  const applets = execFileSync(BUSYBOX, ["--list"], { encoding: "utf8" }).trim().split("\n");
  for (const applet of applets) if (applet !== "busybox") symlinkSync("busybox", join(rootfs, "bin", applet));
  return rootfs;
}

async function measure(workspace: Workspace, runs: number, signal: AbortSignal): Promise<Outcome> {
  const load = currentLoad();
  const figures = new Figures();
  const rootfs = makeRootfs(workspace, "rootfs");
  progress("build the template");
  await using starts = await Starts.prepare(workspace, rootfs, figures, signal);
  const facts = hostFacts(starts.vm, load, starts.rivals);
  figures.add("template-new", "caisson", workspace.templateMib);
  const parts: Record<Part, () => Promise<void>> = {
    starts: async () => {
      for (let run = 0; run < runs; run++) {
        progress(`starts and single commands: run ${run + 1} of ${runs}`);
        await starts.round(run);
      }
    },
    streams: () =>
      besideBareGuest("shell-rootfs", workspace, starts, signal, (bare, container) =>
        measureStreams(bare, container, figures, runs),
      ),
    files: () =>
      besideBareGuest("files-rootfs", workspace, starts, signal, (bare, container, rootfs) =>
        measureFiles(bare, container, rootfs, figures, runs),
      ),
    network: () => {
      progress("network");
      return measureNetwork(starts, rootfs, workspace, figures, runs, signal);
    },
    pods: () => measurePods(figures, runs, workspace.commands, signal, progress),
    crowd: () => new Crowd(starts.caisson, starts.sleeper, figures, signal).measure(progress),
    software: () => measureSoftware(TASKS, starts, workspace, figures, runs, signal, progress),
    npm: () => measureSoftware(NPM_TASKS, starts, workspace, figures, runs, signal, progress),
  };
  for (const part of wantedParts(process.env["BENCH_PARTS"])) await parts[part]();
  figures.add("template-used", "caisson", workspace.templateMib);
  return { facts, figures, phases: medianPhases(starts.traces) };
}

/** A bare guest and a container, to be measured in turn. @param name of the container's root file system. */
async function besideBareGuest(
  name: string,
  workspace: Workspace,
  starts: Starts,
  signal: AbortSignal,
  measure: (bare: BareGuest, container: ContainerShell, rootfs: string) => Promise<void>,
): Promise<void> {
  progress("boot a bare guest");
  await using bare = await BareGuest.boot(starts.vm, workspace, signal);
  const rootfs = makeRootfs(workspace, name);
  await using container = await ContainerShell.start(starts.caisson, rootfs, workspace, signal);
  await measure(bare, container, rootfs);
}

/** Standard streams. */
async function measureStreams(
  bare: BareGuest,
  container: ContainerShell,
  figures: Figures,
  runs: number,
): Promise<void> {
  const data = testData(randomBytes(MIB), STDIO_MIB);
  for (let run = 0; run < Math.max(runs, PEAK_AFTER_MIB / STDIO_MIB); run++) {
    progress(`streams: run ${run + 1}, ${STDIO_MIB} MiB each way`);
    await timeStdio(container.shell, "caisson", CONTAINER_MEMORY, data, figures);
    await timeStdio(bare.shell, "bare", BARE_MEMORY, data, figures);
  }
  figures.add("peak", "caisson", peakMemory(container.daemon));
}

/** The shared file system. @param rootfs the container's, here. */
async function measureFiles(
  bare: BareGuest,
  container: ContainerShell,
  rootfs: string,
  figures: Figures,
  runs: number,
): Promise<void> {
  const both = [
    { shell: container.shell, by: "caisson", onHost: rootfs, inGuest: "", memory: CONTAINER_MEMORY },
    { shell: bare.shell, by: "bare", onHost: bare.share, inGuest: BARE_SHARE, memory: BARE_MEMORY },
  ] as const;
  for (let run = 0; run < runs; run++) {
    progress(`files: run ${run + 1} of ${runs}`);
    for (const each of both) await timeFiles(each, figures);
    await timeLarge(both, figures);
    await timeMany(both, figures);
  }
}

function publish({ facts, figures, phases }: Outcome): void {
  const rows = figures.rows(parsePromises(readFileSync(join(TOP, "docs/specification.md"), "utf8")));
  const measurements = rows.map(({ thing, ...row }) => ({
    id: thing.id,
    title: thing.title,
    unit: thing.unit,
    ...row,
  }));
  mkdirSync(OUTPUT, { recursive: true });
  writeFileSync(join(OUTPUT, "bench.json"), `${JSON.stringify({ facts, measurements, phases }, undefined, 2)}\n`);
  writeFileSync(join(OUTPUT, "bench.svg"), picture(facts, rows, phases));
  console.log(report(facts, rows, phases));
  console.log(`Written: ${join(OUTPUT, "bench.json")} and bench.svg`);
}

// What the runtime's parts have to say here, `caisson` has said.
log.level = "error";
const interruption = new AbortController();
for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(name, () => {
    process.exitCode = 128 + constants.signals[name];
    interruption.abort(new Error(`The bench was ended by ${name}.`));
  });
}

try {
  const runs = wantedRuns(process.env["BENCH_RUNS"]);
  let outcome: Outcome;
  {
    await using workspace = new Workspace();
    outcome = await measure(workspace, runs, interruption.signal);
  }
  publish(outcome);
} catch (error) {
  process.exitCode ||= 1;
  console.error(interruption.signal.aborted ? `${error}` : error);
}
