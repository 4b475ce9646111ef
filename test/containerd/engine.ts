import { type ChildProcess, execFile, execFileSync, spawn } from "node:child_process";
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
import { Cri } from "./cri.ts";
import { writeImage } from "./image.ts";

export const IMAGE = "localhost/caisson-test:latest";
export const PAUSE_IMAGE = "localhost/caisson-pause:latest";
export const RUNTIME = "io.containerd.caisson.v2";

const START_LIMIT_MS = 20_000;
const CTR_LIMIT_MS = 100_000;
const BIN = join(import.meta.dirname, "..", "..", "bin");

/** Why there is no containerd to test with; `make test-engines` installs it. */
export const whyNot = missing();
/** Of every test with an engine. */
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

export interface Result {
  status: number;
  stdout: string;
  stderr: string;
}

/** A containerd of its own, with everything it keeps in one temporary folder, and our shim as the runtime of its pods. */
export class Engine {
  readonly folder: string;
  readonly socket: string;
  #process: ChildProcess | undefined;

  private constructor(folder: string) {
    this.folder = folder;
    this.socket = join(folder, "containerd.sock");
  }

  /** Starts one that has IMAGE and PAUSE_IMAGE. */
  static async start(): Promise<Engine> {
    const engine = new Engine(mkdtempSync(join(tmpdir(), "caisson-containerd-")));
    engine.#configure();
    await engine.run();
    for (const [name, command] of [
      [IMAGE, ["/bin/sh"]],
      [PAUSE_IMAGE, ["/bin/sleep", "1000000"]],
    ] as const) {
      const tar = join(engine.folder, "image.tar");
      writeImage(tar, name, command);
      for (const namespace of ["default", "k8s.io"]) await engine.need("-n", namespace, "image", "import", tar);
      rmSync(tar);
    }
    return engine;
  }

  /** Starts the daemon (again). */
  async run(): Promise<void> {
    const log = openSync(join(this.folder, "log"), "a");
    const child = spawn("containerd", ["--config", join(this.folder, "config.toml"), "--log-level", "debug"], {
      stdio: ["ignore", log, log],
      env: { ...process.env, PATH: `${BIN}:${process.env["PATH"]}` },
    });
    this.#process = child;
    for (const end = performance.now() + START_LIMIT_MS; performance.now() < end; await delay(50)) {
      if ((await this.ctr("version")).status === 0) return;
      if (child.exitCode !== null) break;
    }
    throw new Error(`containerd does not start:\n${this.log.slice(-3000)}`);
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
  async pid(id: string): Promise<number> {
    const lines = (await this.need("task", "ls")).split("\n").map((line) => line.trim().split(/\s+/));
    return Number(lines.find(([name]) => name === id)?.[1]);
  }

  /** Removes a container with its task, whatever state it is in. */
  async remove(id: string): Promise<void> {
    await this.ctr("task", "kill", "--signal", "SIGKILL", id);
    for (const end = performance.now() + 10_000; performance.now() < end; await delay(50)) {
      if ((await this.status(id)) !== "RUNNING") break;
    }
    await this.ctr("task", "delete", id);
    await this.ctr("container", "delete", id);
  }

  cri(): Cri {
    return new Cri(this.socket);
  }

  #configure(): void {
    const { folder, socket } = this;
    mkdirSync(join(folder, "cni", "net.d"), { recursive: true });
    symlinkSync("/usr/lib/cni", join(folder, "cni", "bin"));
    const bridge = {
      ...{ type: "bridge", bridge: "caissontest0", isGateway: true },
      ipam: {
        ...{ type: "host-local", dataDir: join(folder, "cni", "data"), ranges: [[{ subnet: "10.213.77.0/24" }]] },
        routes: [{ dst: "0.0.0.0/0" }],
      },
    };
    const network = { cniVersion: "0.4.0", name: "caisson-test", plugins: [bridge] };
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
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    default_runtime_name = "caisson"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.caisson]
      runtime_type = "${RUNTIME}"
      pod_annotations = ["io.caisson.*"]
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "${folder}/cni/bin"
    conf_dir = "${folder}/cni/net.d"
`,
    );
  }
}
