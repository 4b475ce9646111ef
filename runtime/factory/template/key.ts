import { fstatSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { sha256 } from "../../text/digest.ts";
import { commandLine } from "../../vm/command-line.ts";
import { factFile, recall, remember } from "../../vm/host-cache.ts";
import { fileIdentity, identityOf } from "../../vm/qemu.ts";
import { streamPortsOf, type VmSpec } from "../../vm/spec.ts";

/** Raised when what a template's folder holds, or how a guest is warmed, changes. */
const FORMAT = 5;
const KEY_BYTES = 16;
const KEPT = ".key-";
export const TEMPLATE_KEY = /^[0-9a-f]{32}$/;

/** The files a template was made from, by what they were: see fileIdentity(). */
export interface TemplateInputs {
  qemu: string;
  kernel: string;
  initrd: string;
  image: string;
}

/** @throws the error of a file that cannot be looked at; `imageFd` is the image, opened. */
export function templateInputs(spec: VmSpec, imageFd: number): TemplateInputs {
  return {
    qemu: fileIdentity(spec.qemu.path),
    kernel: fileIdentity(spec.kernel),
    initrd: fileIdentity(spec.initrd),
    image: identityOf(spec.image, fstatSync(imageFd, { bigint: true })),
  };
}

/**
 * Names the template of a VM: 32 hex digits that differ whenever anything differs that a saved guest depends on. Content is
 * told apart by the files' identity, not read: a clone has no time for that.
 */
export function templateKey(spec: VmSpec, inputs: TemplateInputs): string {
  return keyOf(allOf(spec, inputs));
}

/**
 * The same from what is kept in the folder of templates since the last template of such a size was opened: computing it takes
 * a start longer than anything else that it does of its own.
 * @returns the key, and what keeps it for the next one.
 */
export function recallKey(spec: VmSpec, inputs: TemplateInputs, directory: string): { key: string; keep: () => void } {
  const all = allOf(spec, inputs);
  const file = factFile(directory, `${KEPT}${spec.memoryMib}-${spec.vcpus}-${spec.networks.length}`);
  const known = recall(file, all, toKey);
  if (known !== undefined) return { key: known, keep: () => {} };
  const key = keyOf(all);
  return { key, keep: () => remember(file, all, key) };
}

/** Removes what recallKey() keeps. */
export function forgetKeys(directory: string): void {
  for (const name of readdirSync(directory)) if (name.startsWith(KEPT)) rmSync(join(directory, name), { force: true });
}

function keyOf(all: string): string {
  return sha256(all).toString("hex", 0, KEY_BYTES);
}

function allOf(spec: VmSpec, inputs: TemplateInputs): string {
  const shape = commandLine(withoutIdentity(spec), {
    qmpFd: 0,
    consoleFd: 0,
    imageFd: 0,
    randomFd: 0,
    agent: spec.transport === "vsock" ? { kind: "vsock", vhostFd: 0, cid: 0 } : { kind: "virtio-serial", fd: 0 },
    streamFds: Array.from({ length: streamPortsOf(spec) }, () => 0),
    memory: { kind: "template", fd: 0 },
    stopped: false,
    networks: spec.networks.map(() => ({ tapFd: 0 })),
  });
  return JSON.stringify([FORMAT, inputs, spec.qemu.version, shape]);
}

function toKey(value: unknown): string | undefined {
  return typeof value === "string" && TEMPLATE_KEY.test(value) ? value : undefined;
}

/** What each clone has of its own: the devices' back ends. */
function withoutIdentity(spec: VmSpec): VmSpec {
  return { ...spec, consoleLog: "" };
}
