/** CRI-O's side of a runtime of the type "vm" (its internal/oci/runtime_vm.go), without CRI-O. */
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import * as task from "../../protocol/generated/containerd/task.ts";
import { Empty } from "../../protocol/generated/containerd/types.ts";
import type { Spec } from "../../protocol/oci.ts";
import { cgroupMounts } from "../../runtime/cgroup/cgroup.ts";
import { packOci } from "../../runtime/shim/any.ts";
import { Client } from "../../runtime/ttrpc/client.ts";
import { Bundle } from "../harness/bundle.ts";
import { collect } from "../harness/host.ts";
import type { Netns } from "../harness/network.ts";
import type { Codec } from "./shim.ts";

const PROGRAM = join(import.meta.dirname, "..", "..", "bin", "containerd-shim-caisson-v2");
const TASK = "containerd.task.v2.Task";
const CALL_LIMIT_MS = 200_000;
const END_LIMIT_MS = 90_000;

export interface CrioContainer {
  id: string;
  bundle: Bundle;
  /** What it prints goes there. */
  output: string;
  /** CRI-O has a connection for each. */
  client: Client;
}

let lastPod = 0;

/** A pod as CRI-O makes it. Its mounts are in a private one, as containers/storage has them. */
export class CrioPod implements AsyncDisposable {
  readonly folder = mkdtempSync(join(tmpdir(), "caisson-crio-"));
  readonly id = `crio${process.pid}x${++lastPod}`;
  readonly #netns: Netns;
  readonly #stack = new AsyncDisposableStack();
  #answer = "";
  /** The pid of the pod's own container. */
  pid = 0;

  constructor(netns: Netns) {
    this.#netns = netns;
    this.#stack.defer(() => rmSync(this.folder, { recursive: true, force: true }));
    const storage = join(this.folder, "storage");
    mkdirSync(storage);
    execFileSync("mount", ["--bind", "--make-private", storage, storage]);
    this.#stack.defer(() => void execFileSync("umount", ["--recursive", "--lazy", storage]));
    mkdirSync(join(this.folder, "shm"));
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=4m", "shm", join(this.folder, "shm")]);
    this.#stack.defer(() => void execFileSync("umount", ["--lazy", join(this.folder, "shm")]));
  }

  /** Creates a container, up to where it waits to be started; the first is the pod's own. */
  async create(name: string, args: readonly string[], change: (spec: Spec) => void = () => {}): Promise<CrioContainer> {
    const isFirst = this.pid === 0;
    const id = isFirst ? this.id : `${this.id}-${name}`;
    const bundle = this.#stack.use(new Bundle(args));
    this.#configure(bundle, id, isFirst);
    change(bundle.spec);
    bundle.write();
    execFileSync("mkfifo", [join(bundle.directory, "log")]);
    const words = ["-namespace", "default", "-address", "", "-publish-binary", "/usr/bin/crio", "-id", id, "start"];
    const env = { ...process.env, MAX_SHIM_VERSION: "2", TTRPC_ADDRESS: "" };
    const started = spawn(PROGRAM, words, { cwd: bundle.directory, env, stdio: ["ignore", "pipe", "pipe"] });
    const { exitCode, stdout, stderr } = await collect(started);
    assert.equal(exitCode, 0, stderr);
    assert.equal(readFileSync(join(bundle.directory, "address"), "utf8"), stdout);
    assert.match(stdout, /^unix:\/\/\/\S+$/);
    if (!isFirst) assert.equal(stdout, this.#answer);
    this.#answer = stdout;
    const client = this.#stack.use(new Client(connect(stdout.replace("unix://", ""))));
    const output = join(this.folder, `${name}.log`);
    const container = { id, bundle, output, client };
    const streams = { terminal: false, stdin: "", stdout: `file://${output}`, stderr: "" };
    const { pid } = await this.call(
      container,
      "Create",
      task.CreateTaskRequest,
      {
        ...{ id, bundle: bundle.directory, rootfs: [], ...streams, checkpoint: "", parentCheckpoint: "" },
        options: undefined,
      },
      task.CreateTaskResponse,
    );
    assert.ok(existsSync(`/proc/${pid}/stat`), "CRI-O reads when it was started");
    if (isFirst) this.pid = pid;
    return container;
  }

  /** The folder of the daemon's state. */
  get stateFolder(): string {
    return dirname(this.#answer.replace("unix://", ""));
  }

  /** The pod's cgroups on the host, in every hierarchy that has one. */
  get cgroups(): string[] {
    const mounts = cgroupMounts();
    return mounts.map(({ directory }) => join(directory, `crio-${this.id}`)).filter((path) => existsSync(path));
  }

  #configure(bundle: Bundle, id: string, isFirst: boolean): void {
    const { spec, directory } = bundle;
    const rootfs = join(this.folder, "storage", directory.split("/").at(-1) ?? "", "merged");
    mkdirSync(rootfs, { recursive: true });
    execFileSync("mount", ["--bind", bundle.rootfs, rootfs]);
    spec.root = { path: rootfs, readonly: false };
    spec.annotations = {
      "io.container.manager": "cri-o",
      "io.kubernetes.cri-o.ContainerType": isFirst ? "sandbox" : "container",
      "io.kubernetes.cri-o.SandboxID": this.id,
      "io.kubernetes.cri-o.Annotations": '{"a":"b"}',
    };
    spec.hostname = "crio-pod";
    const others = spec.mounts?.filter(({ destination }) => destination !== "/dev/shm") ?? [];
    const options = ["rw", "bind"];
    spec.mounts = [...others, { destination: "/dev/shm", type: "bind", source: join(this.folder, "shm"), options }];
    spec.linux = {
      ...spec.linux,
      cgroupsPath: `/crio-${id}`,
      namespaces: [
        { type: "pid" },
        { type: "mount" },
        { type: "network", path: this.#netns.path },
        { type: "ipc", path: `/var/run/ipcns/${this.id}` },
        { type: "uts", path: `/var/run/utsns/${this.id}` },
      ],
    };
  }

  async call<Request, Response>(
    { client }: CrioContainer,
    method: string,
    request: Codec<Request>,
    message: Request,
    response: Codec<Response>,
  ): Promise<Response> {
    const payload = request.encode(message).finish();
    return response.decode(await client.call(TASK, method, payload, { timeoutMs: CALL_LIMIT_MS }));
  }

  async start(container: CrioContainer, execId = ""): Promise<void> {
    await this.call(container, "Start", task.StartRequest, { id: container.id, execId }, task.StartResponse);
  }

  async wait(container: CrioContainer, execId = ""): Promise<number> {
    const request = { id: container.id, execId };
    return (await this.call(container, "Wait", task.WaitRequest, request, task.WaitResponse)).exitStatus;
  }

  state(container: CrioContainer): Promise<task.StateResponse> {
    return this.call(container, "State", task.StateRequest, { id: container.id, execId: "" }, task.StateResponse);
  }

  async kill(container: CrioContainer, signal: number): Promise<void> {
    const request = { id: container.id, execId: "", signal, all: false };
    await this.call(container, "Kill", task.KillRequest, request, Empty);
  }

  /** A command to its end, as for ExecSync. @returns what it printed. */
  async exec(container: CrioContainer, execId: string, ...args: string[]): Promise<string> {
    const { id } = container;
    const output = join(this.folder, `${execId}.log`);
    const streams = { terminal: false, stdin: "", stdout: `file://${output}`, stderr: "" };
    const spec = packOci("Process", { ...container.bundle.process, args });
    await this.call(container, "Exec", task.ExecProcessRequest, { id, execId, ...streams, spec }, Empty);
    await this.start(container, execId);
    assert.equal(await this.wait(container, execId), 0);
    await this.call(container, "Delete", task.DeleteRequest, { id, execId }, task.DeleteResponse);
    return readFileSync(output, "utf8");
  }

  /** Of one that has ended; asks for the daemon's end each time. */
  async remove(container: CrioContainer): Promise<void> {
    const { id } = container;
    await this.call(container, "Delete", task.DeleteRequest, { id, execId: "" }, task.DeleteResponse);
    await this.call(container, "Shutdown", task.ShutdownRequest, { id, now: false }, Empty);
  }

  /** Waits until nothing of the daemon is there any more. */
  async gone(): Promise<boolean> {
    for (const end = performance.now() + END_LIMIT_MS; performance.now() < end; await delay(30)) {
      if (!existsSync(this.stateFolder)) return true;
    }
    return false;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.pid !== 0 && existsSync(`/proc/${this.pid}/stat`)) {
      process.kill(this.pid, "SIGTERM");
      await this.gone();
    }
    await this.#stack.disposeAsync();
  }
}
