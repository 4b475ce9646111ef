/** PCI functions of the host's that the VM has: their drivers and device nodes in this guest. */
import { execFile } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { CaissonError } from "../../protocol/errors.ts";
import type { PassedDevice } from "../../protocol/generated/agent.ts";
import { log } from "../log.ts";
import { interfacesOf } from "./interfaces.ts";
import { type DeviceNode, nodesBelow } from "./nodes.ts";
import type { PassedNodes } from "./numbers.ts";

const DEVICES = "/sys/bus/pci/devices";
const MODPROBE = "/usr/sbin/modprobe";
const APPEARS_WITHIN_MS = 20_000;
/** Drivers look at their devices in threads of their own: an NVMe disk comes after its controller. */
const NODES_WITHIN_MS = 5_000;
const SETTLED_MS = 300;
const POLL_MS = 20;

/** A function of the host's in this guest. */
export interface PassedFunction extends PassedNodes {
  /** In sysfs. */
  folder: string;
}

/**
 * Has the guest's own drivers take the functions, and waits for what they make of them.
 * @throws CaissonError CAISSON_E_HOST when one is not there. One without a driver is told in the log: programs may reach it through sysfs.
 */
export async function takeFunctions(devices: readonly PassedDevice[]): Promise<PassedFunction[]> {
  const all: PassedFunction[] = [];
  for (const { port, name, major, minor } of devices) {
    const folder = await functionAt(port, name);
    if (!existsSync(`${folder}/driver`)) await loadDriver(folder, name);
    const nodes = existsSync(`${folder}/driver`) ? await settledNodes(folder) : [];
    log("info", `the device ${name} of the host's is here: ${describe(folder, nodes)}`);
    all.push({ major, minor, nodes, folder });
  }
  return all;
}

/** The folder in sysfs of the one function behind a port. */
async function functionAt(port: string, name: string): Promise<string> {
  const folder = `${DEVICES}/${port}`;
  for (let waitedMs = 0; waitedMs < APPEARS_WITHIN_MS; waitedMs += POLL_MS) {
    const found = existsSync(folder)
      ? readdirSync(folder).find((each) => /^[0-9a-f]+:..:00\.0$/.test(each))
      : undefined;
    if (found !== undefined) return `${folder}/${found}`;
    await sleep(POLL_MS);
  }
  throw new CaissonError("CAISSON_E_HOST", `the guest's kernel has not found the PCI function ${name} of the host's`);
}

/** The modules that say they are for it, as udev would have them loaded. */
async function loadDriver(folder: string, name: string): Promise<void> {
  const alias = read(`${folder}/modalias`);
  try {
    await promisify(execFile)(MODPROBE, ["-q", alias], { timeout: APPEARS_WITHIN_MS });
  } catch (error) {
    log("debug", `no driver was loaded for ${name} (${alias}): ${(error as Error).message}`);
  }
  if (existsSync(`${folder}/driver`)) return;
  log(
    "warning",
    `the guest has no driver for the device ${name} of the host's (${alias}): there are no nodes of it in /dev`,
  );
}

/** Those that there are once none has come for a while, or that is in vain: an interface has none. */
async function settledNodes(folder: string): Promise<DeviceNode[]> {
  let nodes = nodesBelow(folder);
  let changedMs = 0;
  for (let waitedMs = 0; waitedMs < NODES_WITHIN_MS; waitedMs += POLL_MS) {
    const isThere = nodes.length > 0 || interfacesOf(folder).length > 0;
    if (isThere && waitedMs - changedMs >= SETTLED_MS) break;
    await sleep(POLL_MS);
    const now = nodesBelow(folder);
    if (now.length !== nodes.length) changedMs = waitedMs;
    nodes = now;
  }
  return nodes;
}

function describe(folder: string, nodes: readonly DeviceNode[]): string {
  const interfaces = interfacesOf(folder).map((path) => `interface ${basename(path)}`);
  const have = [...nodes.map(({ path }) => path), ...interfaces];
  return [basename(folder), ...have].join(", ");
}

function read(path: string): string {
  return readFileSync(path, "latin1").trim();
}
