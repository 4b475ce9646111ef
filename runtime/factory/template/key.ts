import { createHash } from "node:crypto";
import { fstatSync } from "node:fs";
import { commandLine } from "../../vm/command-line.ts";
import { fileIdentity, identityOf } from "../../vm/qemu.ts";
import type { VmSpec } from "../../vm/spec.ts";

/** Raised when what a template's folder holds, or how a guest is warmed, changes. */
const FORMAT = 2;

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
  const shape = commandLine(withoutIdentity(spec), {
    qmpFd: 0,
    consoleFd: 0,
    imageFd: 0,
    randomFd: 0,
    agent: spec.transport === "vsock" ? { kind: "vsock", vhostFd: 0, cid: 0 } : { kind: "virtio-serial", fd: 0 },
    memory: { kind: "template", fd: 0 },
    stopped: false,
    networks: spec.networks.map(() => ({ tapFd: 0 })),
  });
  const all = JSON.stringify([FORMAT, inputs, spec.qemu.version, shape]);
  return createHash("sha256").update(all).digest("hex").slice(0, 32);
}

/** What each clone has of its own: the devices' back ends. */
function withoutIdentity(spec: VmSpec): VmSpec {
  return { ...spec, consoleLog: "" };
}
