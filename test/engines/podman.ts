import { execFileSync, spawnSync } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PROGRAM } from "../harness/host.ts";
import { Engine } from "./engine.ts";

/** Why podman cannot run here; undefined when it can. */
export function whyNoPodman(): string | undefined {
  if (process.getuid?.() !== 0) return "podman is tested as root";
  if (spawnSync("podman", ["--version"]).error) return "podman is not installed (make test-engines installs it)";
  if (spawnSync("conmon", ["--version"]).error) return "conmon is not installed (make test-engines installs it)";
  return undefined;
}

/** 4, 5, ... */
export function podmanMajor(): number {
  return Number(/\d+/.exec(execFileSync("podman", ["--version"], { encoding: "utf8" }))?.[0]);
}

export class Podman extends Engine {
  readonly command: readonly string[];
  readonly runFlags = [];

  private constructor(netns: string | undefined, cgroupManager: "cgroupfs" | "systemd") {
    super();
    const place = (name: string) => join(this.folder, name);
    this.command = [
      ...(netns === undefined ? [] : ["nsenter", `--net=${netns}`]),
      ...["podman", "--runtime", PROGRAM, "--root", place("root"), "--runroot", place("run"), "--tmpdir", place("tmp")],
      // Nothing else that only a host with systemd has.
      ...["--network-config-dir", place("net"), "--cgroup-manager", cgroupManager, "--events-backend", "file"],
      ...["--storage-driver", "overlay"],
    ];
  }

  /** @param netns the network namespace that is its host's; ours by default. @param cgroupManager who makes cgroups. */
  static async start(netns?: string, cgroupManager: "cgroupfs" | "systemd" = "cgroupfs"): Promise<Podman> {
    const podman = new Podman(netns, cgroupManager);
    // The first one of a machine makes the locks that all podmans use, which a second one at that moment takes for broken.
    execFileSync("flock", [tmpdir(), ...podman.command, "ps"], { stdio: "ignore" });
    podman.importImage();
    return podman;
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    await this.run(["rm", "--all", "--force", "--time", "0"]);
    await this.run(["volume", "prune", "--force"]);
    spawnSync("umount", [join(this.folder, "root", "overlay")]);
    await super[Symbol.asyncDispose]();
  }
}
