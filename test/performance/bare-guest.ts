import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { install, makeSkeleton, packErofs } from "../../guest-image/tree.ts";
import { AGENT_PORT_NAME } from "../../protocol/guest-contract.ts";
import { bootMachine } from "../../runtime/factory/boot/boot.ts";
import { chooseVirtiofsd } from "../../runtime/factory/vm-config.ts";
import { startVirtiofsd } from "../../runtime/storage/virtiofsd/process.ts";
import type { Machine } from "../../runtime/vm/machine.ts";
import { plugShare } from "../../runtime/vm/share-device.ts";
import type { ShareServer } from "../../runtime/vm/share-server.ts";
import { type NetworkDevice, SHARE_TAG, type VmSpec } from "../../runtime/vm/spec.ts";
import { Shell } from "./shell.ts";
import type { Workspace } from "./workspace.ts";

const BUSYBOX = "/bin/busybox";
const BOOT_LIMIT_MS = 60_000;
/** Where the guest has the share, and a file system in its memory. */
export const BARE_SHARE = "/tmp/share";
export const BARE_MEMORY = "/tmp";

/** Once the device is there; on microvm nothing else tells the guest of it. */
const MOUNT_SHARE = [
  "cd /sys/bus/platform/devices",
  "for slot in LNRO0005:*; do echo $slot >../drivers/virtio-mmio/bind; done 2>/dev/null",
  "cd /",
  `until mount -t virtiofs ${SHARE_TAG} ${BARE_SHARE} 2>/dev/null; do sleep 1; done`,
].join("; ");

/** In the agent's place: a shell on the agent's virtio-serial port. */
function agentScript(): string {
  return [
    "#!/bin/busybox sh",
    "busybox mkdir /tmp/bin /tmp/share",
    "busybox --install -s /tmp/bin",
    "export PATH=/tmp/bin",
    "for port in /sys/class/virtio-ports/*; do",
    `  if [ "$(cat "$port/name")" = ${AGENT_PORT_NAME} ]; then exec 3<>"/dev/\${port##*/}"; fi`,
    "done",
    "echo up >&3",
    "exec sh <&3 >&3",
    "",
  ].join("\n");
}

/**
 * The same VM with the same kernel and devices, and none of Caisson in it: what its virtio-serial port and its virtio-fs mount do
 * by themselves. The port is virtio-serial even where Caisson uses vsock, and virtiofsd works in the guest's memory, without the proxy.
 */
export class BareGuest implements AsyncDisposable {
  readonly shell: Shell;
  /** On the host. */
  readonly share: string;
  readonly #machine: Machine;
  readonly #server: ShareServer;

  private constructor(machine: Machine, server: ShareServer, shell: Shell, share: string) {
    this.#machine = machine;
    this.#server = server;
    this.shell = shell;
    this.share = share;
  }

  static async boot(
    vm: VmSpec,
    workspace: Workspace,
    signal: AbortSignal,
    networks: readonly NetworkDevice[] = [],
  ): Promise<BareGuest> {
    const image = join(workspace.directory, "bare.erofs");
    packImage(image, workspace.directory);
    const share = workspace.folder("bare-share");
    const virtiofsd = await chooseVirtiofsd(workspace.settings);
    const { machine, value } = await bootMachine(
      { ...vm, networks, transport: "virtio-serial", image },
      async ({ agent }) => {
        const shell = new Shell(agent, agent, signal);
        const greeting = await shell.greeting();
        if (greeting !== "up") throw new Error(`The bare guest says ${greeting}.`);
        return shell;
      },
      { signal, limitMs: BOOT_LIMIT_MS },
    );
    const server = startVirtiofsd(virtiofsd, share);
    const bare = new BareGuest(machine, server, value, share);
    try {
      const { qmp, machine: type } = machine;
      await Promise.all(plugShare({ qmp, machine: type }, server.connection, { signal }));
      await value.run(MOUNT_SHARE);
      return bare;
    } catch (error) {
      await bare[Symbol.asyncDispose]();
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#machine.kill();
    await this.#server.kill();
  }
}

function packImage(image: string, directory: string): void {
  const root = mkdtempSync(join(directory, "bare-root-"));
  makeSkeleton(root);
  install(BUSYBOX, root, "usr/bin/busybox", { executable: true });
  writeFileSync(join(root, "usr/bin/node"), agentScript(), { mode: 0o755 });
  // PID 1 has no more modules to load.
  mkdirSync(join(root, "usr/lib/caisson"), { recursive: true });
  writeFileSync(join(root, "usr/lib/caisson/modules"), "");
  packErofs(root, image);
  rmSync(root, { recursive: true });
}
