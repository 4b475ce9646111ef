import { randomBytes } from "node:crypto";
import { closeSync } from "node:fs";
import { Socket } from "node:net";
import { pipe } from "../../native/posix/index.ts";
import type { Spec } from "../../protocol/oci.ts";
import type { Engine } from "./engine.ts";
import { Shell } from "./shell.ts";
import type { Workspace } from "./workspace.ts";

/** A file system in the guest's memory that its containers get. */
export const CONTAINER_MEMORY = "/data";
const MEMORY_MIB = 1024;

/** A shell that `caisson exec` runs in a container of its own, over pipes as an engine has them. */
export class ContainerShell implements AsyncDisposable {
  readonly shell: Shell;
  readonly daemon: number;
  readonly #streams: readonly Socket[];
  readonly #end: () => Promise<void>;

  private constructor(shell: Shell, daemon: number, streams: readonly Socket[], end: () => Promise<void>) {
    this.shell = shell;
    this.daemon = daemon;
    this.#streams = streams;
    this.#end = end;
  }

  /** @param rootfs a folder that the container may write to. @param change what else its configuration has. */
  static async start(
    engine: Engine,
    rootfs: string,
    { commands }: Workspace,
    signal: AbortSignal,
    change: (spec: Spec) => void = () => {},
  ): Promise<ContainerShell> {
    const bundle = engine.bundle(`shell-${randomBytes(3).toString("hex")}`, rootfs, ["sleep", "100000"], (spec) => {
      spec.root = { path: rootfs, readonly: false };
      const options = ["nosuid", "nodev", `size=${MEMORY_MIB}m`];
      spec.mounts = [
        ...(spec.mounts ?? []),
        { destination: CONTAINER_MEMORY, type: "tmpfs", source: "tmpfs", options },
      ];
      change(spec);
    });
    const { id, pid } = await engine.start(bundle);
    const [stdin, input] = pipe();
    const [output, stdout] = pipe();
    const streams = [new Socket({ fd: input, readable: false }), new Socket({ fd: output, writable: false })] as const;
    try {
      const child = commands.spawn(engine.argv("exec", id, "sh"), [stdin, stdout, commands.stderr]);
      return new ContainerShell(new Shell(...streams, signal), pid, streams, async () => {
        child.kill("SIGKILL");
        await engine.remove(id);
      });
    } finally {
      closeSync(stdin);
      closeSync(stdout);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const stream of this.#streams) stream.destroy();
    await this.#end();
  }
}
