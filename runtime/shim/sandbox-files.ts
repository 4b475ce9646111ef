import { chmodSync, copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { constants, mount, umount } from "../../native/posix/index.ts";
import type { PodSandboxConfig } from "../../protocol/generated/containerd/pod-config.ts";
import { stringifyJson } from "../../protocol/json.ts";
import type { Mount, Spec } from "../../protocol/oci.ts";
import { PAUSE, resolverText } from "./sandbox-document.ts";

/** The options of a pod's /dev/shm, as containerd has it. */
const SHARED_MEMORY = "mode=1777,size=65536k";

/**
 * The files of a sandbox that containerd leaves to the runtime: the bundle of the container that stands for it, and what
 * every container of a pod gets from its pod.
 */
export class SandboxFiles {
  readonly bundle: string;
  readonly #folder: string;
  readonly #sharedMemory: string;
  #mounts: readonly (readonly [destination: string, source: string])[] = [];

  /** @param folder does not exist yet; needs a private mount namespace. */
  constructor(folder: string) {
    this.#folder = folder;
    this.bundle = join(folder, "bundle");
    this.#sharedMemory = join(folder, "shm");
  }

  /** @param config of a CRI pod, whose containers get the pod's files. */
  write(document: Spec, config: PodSandboxConfig | undefined): void {
    const { bundle } = this;
    mkdirSync(join(bundle, "rootfs"), { recursive: true });
    writeFileSync(join(bundle, "config.json"), stringifyJson(document));
    const pause = join(bundle, "rootfs", PAUSE);
    writeFileSync(pause, "");
    chmodSync(pause, 0o755);
    if (config !== undefined) this.#writePod(config);
  }

  #writePod(config: PodSandboxConfig): void {
    const path = (name: string) => join(this.#folder, name);
    writeFileSync(path("hostname"), `${config.hostname || hostname()}\n`);
    copyFileSync("/etc/hosts", path("hosts"));
    const resolver = resolverText(config);
    if (resolver === undefined) copyFileSync("/etc/resolv.conf", path("resolv.conf"));
    else writeFileSync(path("resolv.conf"), resolver);
    mkdirSync(this.#sharedMemory);
    mount("shm", this.#sharedMemory, "tmpfs", constants.MS_NOSUID | constants.MS_NODEV, SHARED_MEMORY);
    this.#mounts = [
      ["/etc/hostname", path("hostname")],
      ["/etc/hosts", path("hosts")],
      ["/etc/resolv.conf", path("resolv.conf")],
      ["/dev/shm", this.#sharedMemory],
    ];
  }

  /** A container's configuration with what it gets from its pod, where the engine has nothing in that place. */
  complete(document: unknown): unknown {
    if (typeof document !== "object" || document === null) return document;
    const spec = document as Partial<Spec>;
    const given = Array.isArray(spec.mounts) ? spec.mounts : [];
    const readonly = spec.root?.readonly === true;
    const more = this.#mounts
      .filter(([destination]) => !given.some((entry) => entry?.destination === destination))
      .map(([destination, source]): Mount => {
        const access = readonly && destination !== "/dev/shm" ? "ro" : "rw";
        return { destination, type: "bind", source, options: ["rbind", "rprivate", access] };
      });
    return more.length === 0 ? document : { ...spec, mounts: [...given, ...more] };
  }

  /** Takes the mount back; the files go with the daemon's state. May be called again. */
  release(): void {
    if (this.#mounts.length === 0) return;
    this.#mounts = [];
    umount(this.#sharedMemory, constants.MNT_DETACH | constants.UMOUNT_NOFOLLOW);
  }
}
