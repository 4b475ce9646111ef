import { setTimeout as delay } from "node:timers/promises";
import type { Command } from "commander";
import { CaissonError } from "../../protocol/errors.ts";
import type { Spec } from "../../protocol/oci.ts";
import { applyAnnotations, loadSettings, type Settings, sandboxSize } from "../config.ts";
import { networkProblem } from "../network/abilities.ts";
import { loadBundle } from "../oci/bundle.ts";
import { defaultSpec } from "../oci/default-spec.ts";
import { dismiss } from "../sandbox/standby/claim.ts";
import { StandbyPlaces } from "../sandbox/standby/places.ts";
import { type StandbyParams, spawnStandby } from "../sandbox/standby/spawn.ts";
import { chooseVm, hostSize, templateStore } from "../sandbox/vm-choice.ts";
import { WARM_LIMIT_FACTOR, warm } from "../sandbox/warm.ts";
import { ANY_TAP } from "../vm/spec.ts";
import type { StoredTemplate } from "../vm/template/store.ts";
import { type Globals, verb } from "./command.ts";
import { Foreground } from "./foreground.ts";
import { print } from "./output.ts";
import { table } from "./table.ts";

const MIB = 1024 * 1024;
const STANDBY_POLL_MS = 50;
const HEADER = [
  ...["KEY", "MIB", "MEMORY", "VCPUS", "NETWORKS", "MACHINE", "ACCELERATOR", "CONDITION", "STANDBY", "LAST USED"],
];

/** A template, and how many VMs stand by as clones of it. */
interface Listed extends StoredTemplate {
  standby: number;
}

export function command(globals: Globals): Command {
  const template = verb("template", "Builds, lists and removes the templates that sandboxes are cloned from.");
  template
    .command("build")
    .description("Builds the template that a container will use, unless there is one, and prints its key.")
    .option("-b, --bundle <directory>", "of the container; without it, the one of a container without limits")
    .option("--standby", "also have a VM stand by for the next container, and wait until it does")
    .action(async (flags: BuildFlags) => print(`${await build(globals, flags)}\n`));
  template
    .command("list")
    .description("Lists the templates, the least recently used first.")
    .option("-f, --format <format>", "table or json", "table")
    .option("-q, --quiet", "only their keys")
    .action(({ format, quiet }: { format: string; quiet?: boolean }) => list(globals, format, quiet === true));
  template
    .command("rm")
    .description("Removes templates, and the VMs that stand by. Sandboxes that were cloned from one go on.")
    .argument("[key...]")
    .option("-a, --all", "all of them")
    .action(async (keys: string[], { all }: { all?: boolean }) => await remove(globals, keys, all === true));
  return template;
}

interface BuildFlags {
  bundle?: string;
  standby?: boolean;
}

async function build({ config }: Globals, { bundle, standby }: BuildFlags): Promise<string> {
  const spec: Spec = bundle === undefined ? defaultSpec() : loadBundle(bundle).config;
  const settings: Settings = applyAnnotations(loadSettings(config), spec.annotations);
  using foreground = new Foreground();
  const signal = foreground.interrupted;
  const size = sandboxSize(spec, settings, hostSize());
  const shape = await chooseVm(settings, size, signal);
  // What a container with one interface uses, or with none (runtime/network/network.ts).
  const networks = networkProblem() === undefined ? [ANY_TAP] : [];
  const vm = { ...shape, networks, shareDirectory: "", consoleLog: "" };
  const limitMs = settings.bootTimeoutSeconds * 1000 * WARM_LIMIT_FACTOR;
  using template = await templateStore(settings).prepare(vm, warm, { signal, limitMs });
  if (standby)
    await standBy({ settings, size, count: Math.max(1, settings.standby) }, template.key, { signal, limitMs });
  return template.key;
}

/** Resolves when there is a VM of the template to be had. */
async function standBy(
  params: StandbyParams,
  key: string,
  { signal, limitMs }: { signal: AbortSignal; limitMs: number },
): Promise<void> {
  const places = new StandbyPlaces(params.settings, key);
  await spawnStandby(params);
  // One that was on its way kept ours from being made.
  const limit = AbortSignal.any([signal, AbortSignal.timeout(limitMs)]);
  while (places.sockets().length === 0) await delay(STANDBY_POLL_MS, undefined, { signal: limit });
}

function list({ config }: Globals, format: string, quiet: boolean): void {
  if (format !== "table" && format !== "json") {
    throw new CaissonError("CAISSON_E_USAGE", "invalid format option", { remedy: "Give table or json." });
  }
  const settings = loadSettings(config);
  const templates = templateStore(settings)
    .list()
    .map((each) => ({ ...each, standby: new StandbyPlaces(settings, each.key).sockets().length }));
  if (quiet) print(templates.map(({ key }) => `${key}\n`).join(""));
  else print(format === "json" ? `${JSON.stringify(templates)}\n` : table(HEADER, templates.map(cells)));
}

function cells({ key, bytes, lastUsedMs, condition, manifest, standby }: Listed): string[] {
  return [
    key,
    String(Math.round(bytes / MIB)),
    manifest === undefined ? "?" : `${manifest.memoryMib} MiB`,
    String(manifest?.vcpus ?? "?"),
    String(manifest?.networks ?? "?"),
    manifest?.machine ?? "?",
    manifest?.accelerator ?? "?",
    condition,
    String(standby),
    new Date(lastUsedMs).toISOString(),
  ];
}

async function remove({ config }: Globals, keys: readonly string[], all: boolean): Promise<void> {
  if (all === keys.length > 0) {
    throw new CaissonError("CAISSON_E_USAGE", "template rm: name the templates to remove, or give --all, not both");
  }
  const settings = loadSettings(config);
  const store = templateStore(settings);
  const wanted = all ? store.list().map(({ key }) => key) : keys;
  const missing = wanted.filter((key) => !store.remove(key) && !all);
  // After the templates, without which none comes anew.
  for (const key of wanted) await dismiss(new StandbyPlaces(settings, key));
  if (missing.length > 0) {
    throw new CaissonError("CAISSON_E_NOT_FOUND", `there is no template ${missing.join(", ")}`, {
      remedy: "See caisson template list for those that exist.",
    });
  }
}
