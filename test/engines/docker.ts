import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { closeSync, existsSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PROGRAM } from "../harness/host.ts";
import { Engine } from "./engine.ts";

/** The Debian client beside the Debian daemon: another one may speak a newer protocol only. */
const CLIENT = "/usr/bin/docker";
const START_LIMIT_MS = 180_000;
const END_LIMIT_MS = 120_000;

/** Why Docker cannot run here; undefined when it can. */
export function whyNoDocker(): string | undefined {
  if (process.getuid?.() !== 0) return "Docker is tested as root";
  if (spawnSync("dockerd", ["--version"]).error || !existsSync(CLIENT)) {
    return "Docker is not installed (make test-engines installs it)";
  }
  return undefined;
}

/** dockerd with all it has in one folder; without networks but `none`, unless it is in a network namespace of its own. */
export class Docker extends Engine {
  readonly command: readonly string[];
  readonly runFlags = ["--runtime", "caisson"];
  readonly #daemon: ChildProcess;
  readonly #socket: string;

  private constructor(netns: string | undefined) {
    super();
    const place = (name: string) => join(this.folder, name);
    this.#socket = `unix://${place("docker.sock")}`;
    this.command = [CLIENT, "--host", this.#socket];
    writeFileSync(place("daemon.json"), JSON.stringify({ runtimes: { caisson: { path: PROGRAM } } }));
    const flags = ["--config-file", place("daemon.json"), "--data-root", place("data"), "--exec-root", place("exec")];
    flags.push("--pidfile", place("pid"), "--host", this.#socket, "--storage-driver", "overlay2");
    const closed = [
      "--bridge",
      "none",
      "--iptables=false",
      "--ip6tables=false",
      "--ip-forward=false",
      "--ip-masq=false",
    ];
    if (netns === undefined) flags.push(...closed);
    const before = netns === undefined ? [] : ["nsenter", `--net=${netns}`];
    const [program = "", ...words] = [...before, "dockerd", ...flags];
    const log = openSync(place("log"), "w");
    this.#daemon = spawn(program, words, { stdio: ["ignore", log, log] });
    closeSync(log);
  }

  /**
   * @param netns the network namespace that is its host's.
   * @throws Error with the daemon's log when it does not come up.
   */
  static async start(netns?: string): Promise<Docker> {
    const docker = new Docker(netns);
    for (const end = performance.now() + START_LIMIT_MS; (await docker.run(["version"])).exitCode !== 0; ) {
      if (performance.now() > end || docker.#daemon.exitCode !== null) {
        const log = readFileSync(join(docker.folder, "log"), "utf8");
        await docker[Symbol.asyncDispose]();
        throw new Error(`dockerd does not come up: ${log}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    docker.importImage();
    return docker;
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    if (this.#daemon.exitCode === null) {
      const names = (await this.run(["ps", "--all", "--quiet"])).stdout.split("\n").filter((name) => name !== "");
      if (names.length > 0) await this.run(["rm", "--force", ...names]);
      await this.#end();
    }
    for (const name of ["data/overlay2", "data", "exec/netns/default"]) spawnSync("umount", [join(this.folder, name)]);
    await super[Symbol.asyncDispose]();
  }

  async #end(): Promise<void> {
    const ended = new Promise((resolve) => this.#daemon.once("exit", resolve));
    this.#daemon.kill("SIGTERM");
    const late = setTimeout(() => this.#daemon.kill("SIGKILL"), END_LIMIT_MS);
    await ended;
    clearTimeout(late);
  }
}
