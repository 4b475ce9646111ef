import { type ChildProcess, execFile, execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { until } from "../harness/host.ts";
import { Netns } from "../harness/network.ts";
import { Cri } from "./cri.ts";
import { type Image, writeImage } from "./image.ts";

export const IMAGE = "localhost/caisson-test:latest";
export const PAUSE_IMAGE = "localhost/caisson-pause:latest";
export const RUNTIME = "io.containerd.caisson.v2";

/** "shim" has containerd 2.x, if it is the first in PATH, make pods by our Sandbox API. */
const SANDBOXER = process.env["CAISSON_SANDBOXER"];

const START_LIMIT_MS = 120_000;
const CTR_LIMIT_MS = 200_000;
/** How many subnets of 10.213.0.0/16 pods take in turn. */
const SUBNETS = 250;
const BIN = join(import.meta.dirname, "..", "..", "bin");

/** Why there is no containerd to test with; `make test-engines` installs it. */
export const whyNot = missing();
/** The options of every test with an engine. */
export const options = { skip: whyNot ?? false };

function missing(): string | undefined {
  for (const [file, purpose] of [
    ["/usr/bin/containerd", "containerd"],
    ["/usr/bin/ctr", "containerd's ctr"],
    ["/usr/lib/cni/bridge", "containernetworking-plugins"],
  ] as const) {
    if (!existsSync(file)) return `${purpose} is not installed`;
  }
  return undefined;
}

/** @returns the number of a bridge that nobody else has, which is made. */
function makeBridge(): number {
  for (let tried = 0; tried < SUBNETS; tried++) {
    const number = (process.pid + tried) % SUBNETS;
    if (spawnSync("ip", ["link", "add", bridgeOf(number), "type", "bridge"]).status === 0) return number;
  }
  throw new Error("no bridge can be made");
}

function bridgeOf(number: number): string {
  return `ctrd${number}`;
}

/** Where a containerd is, and what its pods' network has beside a bridge. */
export interface Surroundings {
  /** The network namespace that takes the host's place. */
  netns?: string;
  /** CNI plugins that come after the bridge's. */
  plugins?: readonly Record<string, unknown>[];
  /** Has no pod ask for a lower OOM score than containerd's, which takes a right that runc may lack. */
  restrictOomScores?: boolean;
}

export interface Result {
  status: number;
  stdout: string;
  stderr: string;
}

/** A containerd of its own, with everything it keeps in one temporary folder, and our shim as the runtime of its pods. */
export class Engine {
  readonly folder: string;
  readonly socket: string;
  /** Names of those in /run/netns that its pods have, or had. */
  readonly networkNamespaces = new Set<string>();
  readonly #surroundings: Surroundings;
  /** Test files that run at once have a bridge each, and the subnet of its number. */
  readonly bridge: string;
  readonly #subnet: number;
  #process: ChildProcess | undefined;

  private constructor(folder: string, surroundings: Surroundings) {
    this.folder = folder;
    this.socket = join(folder, "containerd.sock");
    this.#surroundings = surroundings;
    this.#subnet = surroundings.netns === undefined ? makeBridge() : 0;
    this.bridge = bridgeOf(this.#subnet);
  }

  /** Starts one that has IMAGE and PAUSE_IMAGE. */
  static async start(surroundings: Surroundings = {}): Promise<Engine> {
    const engine = new Engine(mkdtempSync(join(tmpdir(), "caisson-containerd-")), surroundings);
    engine.#configure();
    // The first of all binds /run/netns onto itself, with what is mounted in it then (ip-netns(8)): not in a pod's life.
    new Netns()[Symbol.dispose]();
    await engine.run();
    await engine.import({ name: IMAGE, command: ["/bin/sh"] });
    await engine.import({ name: PAUSE_IMAGE, command: ["/bin/sleep", "1000000"] });
    return engine;
  }

  async import(image: Image): Promise<void> {
    const tar = join(this.folder, "image.tar");
    writeImage(tar, image);
    for (const namespace of ["default", "k8s.io"]) await this.need("-n", namespace, "image", "import", tar);
    rmSync(tar);
  }

  /** Starts the daemon (again). */
  async run(): Promise<void> {
    const log = openSync(join(this.folder, "log"), "a");
    const { netns } = this.#surroundings;
    const place = netns === undefined ? [] : ["nsenter", `--net=${netns}`];
    const words = [...place, "containerd", "--config", join(this.folder, "config.toml"), "--log-level", "debug"];
    const child = spawn(words[0] as string, words.slice(1), {
      stdio: ["ignore", log, log],
      env: { ...process.env, PATH: `${join(this.folder, "bin")}:${process.env["PATH"]}` },
    });
    this.#process = child;
    for (const end = performance.now() + START_LIMIT_MS; performance.now() < end; await delay(50)) {
      if ((await this.ctr("version")).status === 0 && (await this.#hasPods())) return;
      if (child.exitCode !== null) break;
    }
    throw new Error(`containerd does not start:\n${this.log.slice(-3000)}`);
  }

  /** Whether it has come as far as to answer for pods, which it does last. */
  async #hasPods(): Promise<boolean> {
    using cri = this.cri();
    return await cri.call("ListPodSandbox", {}).then(
      () => true,
      () => false,
    );
  }

  /** Ends the daemon as a crash would; containers go on. */
  async kill(): Promise<void> {
    const child = this.#process;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    child.kill("SIGKILL");
    await once(child, "exit");
  }

  /** Ends the daemon and removes its folder. */
  async stop(): Promise<void> {
    await this.kill();
    for (const mount of this.mounts()) execFileSync("umount", ["-l", mount]);
    if (this.#surroundings.netns === undefined) execFileSync("ip", ["link", "delete", this.bridge]);
    rmSync(this.folder, { recursive: true, force: true });
  }

  get log(): string {
    return readFileSync(join(this.folder, "log"), "utf8");
  }

  /** Mount points below its folder in the host's mount namespace. */
  mounts(): string[] {
    return readFileSync("/proc/self/mountinfo", "utf8")
      .split("\n")
      .map((line) => line.split(" ")[4] ?? "")
      .filter((path) => path.startsWith(`${this.folder}/`))
      .reverse();
  }

  /** Bundles of tasks that containerd still has. */
  bundles(namespace = "default"): string[] {
    const folder = join(this.folder, "state", "io.containerd.runtime.v2.task", namespace);
    return existsSync(folder) ? execFileSync("ls", [folder], { encoding: "utf8" }).split("\n").filter(Boolean) : [];
  }

  ctr(...args: string[]): Promise<Result> {
    return this.ctrWith("", ...args);
  }

  /** `ctr` with that text on its standard input. */
  ctrWith(input: string, ...args: string[]): Promise<Result> {
    return new Promise((resolve) => {
      const child = execFile(
        "ctr",
        ["--address", this.socket, ...args],
        { timeout: CTR_LIMIT_MS, killSignal: "SIGKILL" },
        (error, stdout, stderr) => {
          const code = error?.code;
          resolve({ status: error === null ? 0 : typeof code === "number" ? code : 255, stdout, stderr });
        },
      );
      child.stdin?.on("error", () => {});
      child.stdin?.end(input);
    });
  }

  /** `ctr`, which must succeed. @returns what it printed. */
  async need(...args: string[]): Promise<string> {
    const { status, stdout, stderr } = await this.ctr(...args);
    if (status !== 0)
      throw new Error(`ctr ${args.join(" ")} ended with ${status}: ${stderr}\n${this.log.slice(-2000)}`);
    return stdout;
  }

  /** Starts a container that runs until it is killed. */
  async detached(id: string, ...command: string[]): Promise<void> {
    const words = command.length > 0 ? command : ["sleep", "1000"];
    await this.need("run", "--detach", "--runtime", RUNTIME, IMAGE, id, ...words);
  }

  /** The status that `ctr task ls` shows, e.g. "RUNNING"; undefined for no task. */
  async status(id: string): Promise<string | undefined> {
    const lines = (await this.need("task", "ls")).split("\n").map((line) => line.trim().split(/\s+/));
    return lines.find(([name]) => name === id)?.[2];
  }

  /** The pid of a task on the host: the pod's daemon. */
  async pid(id: string, namespace = "default"): Promise<number> {
    const lines = (await this.need("-n", namespace, "task", "ls")).split("\n").map((line) => line.trim().split(/\s+/));
    return Number(lines.find(([name]) => name === id)?.[1]);
  }

  /** Removes a container with its task, whatever state it is in. */
  async remove(id: string): Promise<void> {
    await until(async () => {
      await this.ctr("task", "kill", "--signal", "SIGKILL", id);
      await this.ctr("task", "delete", id);
      await this.ctr("container", "delete", id);
      const left = await this.need("container", "ls", "--quiet");
      return !left.split("\n").includes(id);
    });
  }

  cri(): Cri {
    return new Cri(this.socket);
  }

  #configure(): void {
    const { folder, socket } = this;
    mkdirSync(join(folder, "cni", "net.d"), { recursive: true });
    symlinkSync("/usr/lib/cni", join(folder, "cni", "bin"));
    // The checkout's path may have a colon, at which PATH is split.
    symlinkSync(BIN, join(folder, "bin"));
    const subnet = `10.213.${this.#subnet}.0/24`;
    const bridge = {
      ...{ type: "bridge", bridge: this.bridge, isGateway: true, ipMasq: this.#surroundings.plugins !== undefined },
      ipam: {
        ...{ type: "host-local", dataDir: join(folder, "cni", "data"), ranges: [[{ subnet }]] },
        routes: [{ dst: "0.0.0.0/0" }],
      },
    };
    const plugins = [bridge, ...(this.#surroundings.plugins ?? [])];
    const network = { cniVersion: "0.4.0", name: "caisson-test", plugins };
    writeFileSync(join(folder, "cni", "net.d", "10-test.conflist"), JSON.stringify(network));
    writeFileSync(
      join(folder, "config.toml"),
      `version = 2
root = "${folder}/root"
state = "${folder}/state"
disabled_plugins = [${["aufs", "btrfs", "zfs", "devmapper"].map((name) => `"io.containerd.snapshotter.v1.${name}"`)}]
[grpc]
  address = "${socket}"
[ttrpc]
  address = "${socket}.ttrpc"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${PAUSE_IMAGE}"
  disable_tcp_service = true
  restrict_oom_score_adj = ${this.#surroundings.restrictOomScores === true}
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    default_runtime_name = "caisson"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.caisson]
      runtime_type = "${RUNTIME}"
      pod_annotations = ["io.caisson.*"]
      ${SANDBOXER === undefined ? "" : `sandboxer = "${SANDBOXER}"`}
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "${folder}/cni/bin"
    conf_dir = "${folder}/cni/net.d"
`,
    );
  }
}
