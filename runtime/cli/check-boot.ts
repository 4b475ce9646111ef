/** The proof that containers can run: a VM of the kind that they will have, which has booted. */
import { closeSync, mkdtempSync, openSync, rmSync } from "node:fs";
import { join } from "node:path";
import { CaissonError } from "../../protocol/errors.ts";
import { type Settings, sandboxSize } from "../config/load.ts";
import { bootMachine } from "../factory/boot/boot.ts";
import { templateInputs, templateKey } from "../factory/template/key.ts";
import { chooseVm, factsDirectory, hostSize, templateStore, type VmShape } from "../factory/vm-config.ts";
import { greet } from "../factory/warm-up/warm-up.ts";
import { connectAgent } from "../guest/agent/connect.ts";
import { networkProblem } from "../network/kernel-features.ts";
import { defaultSpec } from "../oci/default-spec.ts";
import { bootId, recall, remember } from "../vm/host-cache.ts";
import type { Machine } from "../vm/machine.ts";
import { ANY_TAP, type VmSpec } from "../vm/spec.ts";
import type { Finding } from "./check-report.ts";

const SUBJECT = "VM";

/**
 * Boots a VM of what containers would use, to its agent's answer, unless one is known to have booted: a template was made of one,
 * or an earlier check did. A failure is tried again each time, since the host may just have been busy.
 * @throws what choosing the VM or booting it throws; the signal's reason.
 */
export async function inspectBoot(settings: Settings, signal: AbortSignal): Promise<Finding> {
  const shape = await chooseVm(settings, sandboxSize(defaultSpec(), settings, hostSize()), signal);
  if (hasTemplate(settings, shape)) {
    return { subject: SUBJECT, status: "ok", found: "boots: containers have a template that was made of one" };
  }
  const facts = factsDirectory(settings);
  const file = join(facts, "boot.json");
  const key = `${bootId()} ${identityOf(shape)}`;
  const known = recall(file, key, (value) => (typeof value === "number" ? value : undefined));
  const seconds = known ?? (await boot(shape, facts, settings.bootTimeoutSeconds * 1000, signal));
  remember(file, key, seconds);
  const when = known === undefined ? "" : ", as an earlier check found";
  return { subject: SUBJECT, status: "ok", found: `boots: its agent answered after ${seconds.toFixed(1)} s${when}` };
}

/** What is said where something is missing that a VM needs. */
export function notBooted(missing: readonly string[]): Finding {
  return {
    subject: SUBJECT,
    status: "note",
    found: `none was booted, since something else failed: ${missing.join(", ")}`,
    remedy: "Put that right, and run this again.",
  };
}

function hasTemplate(settings: Settings, shape: VmShape): boolean {
  if (settings.template === "off") return false;
  try {
    const networks = networkProblem() === undefined ? [ANY_TAP] : [];
    using template = templateStore(settings).open({ ...shape, networks, consoleLog: "" });
    return template !== undefined;
  } catch (error) {
    // What is wrong with the templates' folder is another finding.
    if (error instanceof CaissonError) return false;
    throw error;
  }
}

/** Changes with all that a boot depends on. */
function identityOf(shape: VmShape): string {
  const imageFd = openSync(shape.image, "r");
  try {
    const spec: VmSpec = { ...shape, consoleLog: "" };
    return templateKey(spec, templateInputs(spec, imageFd));
  } finally {
    closeSync(imageFd);
  }
}

/** @returns how many seconds it took. */
async function boot(shape: VmShape, facts: string, limitMs: number, signal: AbortSignal): Promise<number> {
  const folder = mkdtempSync(join(facts, "boot-"));
  const start = performance.now();
  try {
    const spec: VmSpec = { ...shape, consoleLog: join(folder, "console.log") };
    const { machine } = await bootMachine(spec, answers, { signal, limitMs });
    const seconds = (performance.now() - start) / 1000;
    await machine.kill();
    return seconds;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function answers({ agent: connection }: Machine, signal: AbortSignal): Promise<void> {
  const agent = await connectAgent(connection);
  try {
    await greet(agent, signal);
  } finally {
    agent.close();
    await agent.closed;
  }
}
