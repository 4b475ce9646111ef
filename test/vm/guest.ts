import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { TemplateStore } from "../../runtime/factory/template/store.ts";
import { greet } from "../../runtime/factory/warm-up/warm-up.ts";
import { connectAgent } from "../../runtime/guest/agent/connect.ts";
import type { Machine } from "../../runtime/vm/machine.ts";
import { findQemu } from "../../runtime/vm/qemu.ts";
import type { MachineType, VmSpec } from "../../runtime/vm/spec.ts";
import { tscKhz } from "../../runtime/vm/tsc.ts";

const IMAGE = join(import.meta.dirname, "..", "..", "out", "image");
export const BOOT_LIMIT_MS = 200_000;

/** The built guest image on this host's QEMU, emulated, and a template store of its own; removed when disposed of. */
export class Guest implements Disposable {
  readonly spec: VmSpec;
  readonly store: TemplateStore;
  readonly #folders: string[];

  private constructor(spec: VmSpec, store: TemplateStore, folders: string[]) {
    this.spec = spec;
    this.store = store;
    this.#folders = folders;
  }

  static async create(machine: MachineType): Promise<Guest> {
    const folder = mkdtempSync(join(tmpdir(), "caisson-vm-"));
    const memory = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "caisson-vm-"));
    const spec: VmSpec = {
      qemu: await findQemu(folder),
      machine,
      accelerator: "tcg",
      memoryMib: 256,
      ceilingMib: 256,
      vcpus: 1,
      mostVcpus: 1,
      kernel: join(IMAGE, "vmlinux"),
      initrd: join(IMAGE, "initrd.img"),
      image: join(IMAGE, "root.erofs"),
      kernelParams: [],
      transport: "virtio-serial",
      tscKhz: await tscKhz(folder),
      networks: [],
      passed: [],
      users: { first: 2_000_000_000, count: 65_536 },
      consoleLog: join(folder, "console.log"),
    };
    return new Guest(spec, new TemplateStore(join(memory, "templates")), [folder, memory]);
  }

  [Symbol.dispose](): void {
    for (const folder of this.#folders) rmSync(folder, { recursive: true, force: true });
  }
}

/** Resolves when the guest's agent has answered; ends that connection. */
export async function agentAnswers(machine: Machine, signal: AbortSignal): Promise<void> {
  const agent = await connectAgent(machine.agent);
  try {
    await greet(agent, signal);
  } finally {
    agent.close();
    await agent.closed;
  }
}
