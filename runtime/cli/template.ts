import type { Command } from "commander";
import { CaissonError } from "../../protocol/errors.ts";
import type { Spec } from "../../protocol/oci.ts";
import { applyAnnotations, loadSettings, type Settings, sandboxSize } from "../config.ts";
import { networkProblem } from "../network/abilities.ts";
import { loadBundle } from "../oci/bundle.ts";
import { defaultSpec } from "../oci/default-spec.ts";
import { chooseVm, hostSize, templateStore } from "../sandbox/vm-choice.ts";
import { warm } from "../sandbox/warm.ts";
import { ANY_TAP } from "../vm/spec.ts";
import type { StoredTemplate } from "../vm/template/store.ts";
import { type Globals, verb } from "./command.ts";
import { Foreground } from "./foreground.ts";
import { print } from "./output.ts";
import { table } from "./table.ts";

const MIB = 1024 * 1024;
/** Booting and warming; as in sandbox.ts. */
const LIMIT_FACTOR = 2;
const HEADER = ["KEY", "MIB", "MEMORY", "VCPUS", "NETWORKS", "MACHINE", "ACCELERATOR", "CONDITION", "LAST USED"];

export function command(globals: Globals): Command {
  const template = verb("template", "Builds, lists and removes the templates that sandboxes are cloned from.");
  template
    .command("build")
    .description("Builds the template that a container will use, unless there is one, and prints its key.")
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
    .description("Removes templates. Sandboxes that were cloned from one go on.")
    .argument("[key...]")
    .option("-a, --all", "all of them")
    .action((keys: string[], { all }: { all?: boolean }) => remove(globals, keys, all === true));
  return template;
}

async function build({ config }: Globals, bundle: string | undefined): Promise<string> {
  const spec: Spec = bundle === undefined ? defaultSpec() : loadBundle(bundle).config;
  const settings: Settings = applyAnnotations(loadSettings(config), spec.annotations);
  using foreground = new Foreground();
  const signal = foreground.interrupted;
  const shape = await chooseVm(settings, sandboxSize(spec, settings, hostSize()), signal);
  // What a container with one interface uses, or with none (runtime/network/network.ts).
  const networks = networkProblem() === undefined ? [ANY_TAP] : [];
  const vm = { ...shape, networks, shareDirectory: "", consoleLog: "" };
  const limitMs = settings.bootTimeoutSeconds * 1000 * LIMIT_FACTOR;
  using template = await templateStore(settings).prepare(vm, warm, { signal, limitMs });
  return template.key;
}

function list({ config }: Globals, format: string, quiet: boolean): void {
  if (format !== "table" && format !== "json") {
    throw new CaissonError("CAISSON_E_USAGE", "invalid format option", { remedy: "Give table or json." });
  }
  const templates = templateStore(loadSettings(config)).list();
  if (quiet) print(templates.map(({ key }) => `${key}\n`).join(""));
  else print(format === "json" ? `${JSON.stringify(templates)}\n` : table(HEADER, templates.map(cells)));
}

function cells({ key, bytes, lastUsedMs, condition, manifest }: StoredTemplate): string[] {
  return [
    key,
    String(Math.round(bytes / MIB)),
    manifest === undefined ? "?" : `${manifest.memoryMib} MiB`,
    String(manifest?.vcpus ?? "?"),
    String(manifest?.networks ?? "?"),
    manifest?.machine ?? "?",
    manifest?.accelerator ?? "?",
    condition,
    new Date(lastUsedMs).toISOString(),
  ];
}

function remove({ config }: Globals, keys: readonly string[], all: boolean): void {
  if (all === keys.length > 0) {
    throw new CaissonError("CAISSON_E_USAGE", "template rm: name the templates to remove, or give --all, not both");
  }
  const store = templateStore(loadSettings(config));
  const missing = (all ? store.list().map(({ key }) => key) : keys).filter((key) => !store.remove(key) && !all);
  if (missing.length > 0) {
    throw new CaissonError("CAISSON_E_NOT_FOUND", `there is no template ${missing.join(", ")}`, {
      remedy: "See caisson template list for those that exist.",
    });
  }
}
