import { setTimeout as delay } from "node:timers/promises";
import type { Command } from "commander";
import { CaissonError } from "../../protocol/errors.ts";
import type { Spec } from "../../protocol/oci.ts";
import { removeWithin, SharedCgroup } from "../cgroup/cgroup.ts";
import { applyAnnotations, loadSettings, type Settings, sandboxSize } from "../config/load.ts";
import { MAKERS_CGROUP } from "../factory/deferred.ts";
import { forkServerPid } from "../factory/fork-server/fork-server.ts";
import { type ForkServerParams, spawnMaker } from "../factory/fork-server/maker/spawn.ts";
import type { StoredTemplate } from "../factory/template/store.ts";
import { chooseVirtiofsd, chooseVm, hostSize, templateStore } from "../factory/vm-config.ts";
import { WARM_UP_LIMIT_FACTOR, warmUpWith } from "../factory/warm-up/warm-up.ts";
import { networkProblem } from "../network/kernel-features.ts";
import { loadBundle } from "../oci/bundle.ts";
import { defaultSpec } from "../oci/default-spec.ts";
import { snapshotMaker } from "../snapshot/spawn.ts";
import { enterPrivateMountNamespace } from "../storage/mount-namespace.ts";
import { print } from "../text/stdout.ts";
import { ANY_TAP, canFork } from "../vm/spec.ts";
import { type Globals, verb } from "./command.ts";
import { Foreground } from "./foreground.ts";
import { table } from "./table.ts";

const MIB = 1024 * 1024;
const POLL_MS = 50;
/** A server that has no forks ends in less. */
const END_LIMIT_MS = 500;
const HEADER = [
  ...["KEY", "MIB", "MEMORY", "VCPUS", "NETWORKS", "MACHINE", "ACCELERATOR", "CONDITION", "FORK SERVER", "LAST USED"],
];

export function command(globals: Globals): Command {
  const template = verb("template", "Builds, lists and removes the templates that sandboxes are cloned from.");
  template
    .command("build")
    .description(
      "Builds the template that a container will use, and its fork server, unless there are; prints its key.",
    )
    .option("-b, --bundle <directory>", "of the container; without it, the one of a container without limits")
    .action(async ({ bundle }: { bundle?: string }) => print(`${await build(globals, bundle)}\n`));
  template
    .command("list")
    .description("Lists the templates, the least recently used first.")
    .option("-f, --format <format>", "table or json", "table")
    .option("-q, --quiet", "only their keys")
    .action(({ format, quiet }: { format: string; quiet?: boolean }) => list(globals, format, quiet === true));
  template
    .command("rm")
    .description("Removes templates with their fork servers. Sandboxes that were made of one go on.")
    .argument("[key...]")
    .option("-a, --all", "all of them")
    .option("--stale", "those that are of no use: made from files that are no more, or changed since")
    .action(async (keys: string[], choice: Choice) => await remove(globals, keys, choice));
  return template;
}

async function build({ config }: Globals, bundle: string | undefined): Promise<string> {
  // What a guest is warmed up with is mounted for it.
  enterPrivateMountNamespace();
  const spec: Spec = bundle === undefined ? defaultSpec() : loadBundle(bundle).config;
  const settings: Settings = applyAnnotations(loadSettings(config), spec.annotations);
  using foreground = new Foreground();
  const signal = foreground.interrupted;
  const size = sandboxSize(spec, settings, hostSize());
  const shape = await chooseVm(settings, size, signal);
  // What a container with one interface uses, or with none (runtime/network/network.ts).
  const networks = networkProblem() === undefined ? [ANY_TAP] : [];
  const vm = { ...shape, networks, consoleLog: "" };
  const limitMs = settings.bootTimeoutSeconds * 1000 * WARM_UP_LIMIT_FACTOR;
  using template = await templateStore(settings).prepare(vm, warmUpWith(await chooseVirtiofsd(settings), vm), {
    signal,
    limitMs,
  });
  if (settings.forkServer === "on" && canFork(vm)) {
    await makeForkServer({ settings, size, devices: networks.length }, template.folder, { signal, limitMs });
  }
  await makeSnapshot(settings);
  return template.key;
}

/** Resolves when there is one, or it cannot be. */
async function makeSnapshot(settings: Settings): Promise<void> {
  const maker = snapshotMaker(settings)?.();
  await maker?.ended;
}

/** Resolves when there is one that runs. */
async function makeForkServer(
  params: ForkServerParams,
  folder: string,
  { signal, limitMs }: { signal: AbortSignal; limitMs: number },
): Promise<void> {
  if (forkServerPid(folder) !== undefined) return;
  await spawnMaker(params, { signal, limitMs });
  // Perhaps another maker is at work, and this one has left it to that.
  const limit = AbortSignal.any([signal, AbortSignal.timeout(limitMs)]);
  while (forkServerPid(folder) === undefined) await delay(POLL_MS, undefined, { signal: limit });
}

function list({ config }: Globals, format: string, quiet: boolean): void {
  if (format !== "table" && format !== "json") {
    throw new CaissonError("CAISSON_E_USAGE", "invalid format option", { remedy: "Give table or json." });
  }
  const templates = templateStore(loadSettings(config)).list();
  if (quiet) print(templates.map(({ key }) => `${key}\n`).join(""));
  else print(format === "json" ? `${JSON.stringify(templates)}\n` : table(HEADER, templates.map(cells)));
}

function cells({ key, bytes, lastUsedMs, condition, manifest, forkServer }: StoredTemplate): string[] {
  return [
    key,
    String(Math.round(bytes / MIB)),
    manifest === undefined ? "?" : `${manifest.memoryMib} MiB`,
    String(manifest?.vcpus ?? "?"),
    String(manifest?.networks ?? "?"),
    manifest?.machine ?? "?",
    manifest?.accelerator ?? "?",
    condition,
    String(forkServer ?? "-"),
    new Date(lastUsedMs).toISOString(),
  ];
}

/** Which templates, beside those that are named. */
interface Choice {
  all?: boolean;
  stale?: boolean;
}

async function remove({ config }: Globals, keys: readonly string[], { all, stale }: Choice): Promise<void> {
  if ([all === true, stale === true, keys.length > 0].filter((given) => given).length !== 1) {
    throw new CaissonError(
      "CAISSON_E_USAGE",
      "template rm: name the templates to remove, or give --all or --stale; one of the three",
    );
  }
  const store = templateStore(loadSettings(config));
  const found = keys.length > 0 ? [] : store.list().filter(({ condition }) => all === true || condition !== "usable");
  const missing = keys.filter((key) => !store.remove(key));
  // A template that is gone by now is no failure.
  for (const { key } of found) store.remove(key);
  // Servers go on that are others', or have forks.
  await removeWithin(new SharedCgroup(MAKERS_CGROUP), END_LIMIT_MS);
  if (missing.length > 0) {
    throw new CaissonError("CAISSON_E_NOT_FOUND", `there is no template ${missing.join(", ")}`, {
      remedy: "See caisson template list for those that exist.",
    });
  }
}
