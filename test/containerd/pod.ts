import { randomBytes } from "node:crypto";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Cri, Message } from "./cri.ts";
import { type Engine, IMAGE } from "./engine.ts";

const LIMIT_MS = 120_000;

export interface Executed {
  exitCode: number;
  stdout: string;
  stderr: string;
}

/** A pod of the engine's CRI, stopped and removed when it is disposed of. */
export class Pod implements AsyncDisposable {
  readonly id: string;
  readonly #cri: Cri;
  readonly #config: Message;
  readonly #logs: string;

  private constructor(cri: Cri, id: string, config: Message, logs: string) {
    this.#cri = cri;
    this.id = id;
    this.#config = config;
    this.#logs = logs;
  }

  /** @param linux of the pod's configuration. @param more of it. @param runtimeHandler ours if none is named. */
  static async run(
    engine: Engine,
    cri: Cri,
    linux: Message = {},
    more: Message = {},
    runtimeHandler = "caisson",
  ): Promise<Pod> {
    const name = `pod-${randomBytes(4).toString("hex")}`;
    const logDirectory = join(engine.folder, "pods", name);
    mkdirSync(logDirectory, { recursive: true });
    const config = {
      metadata: { name, uid: name, namespace: "tests" },
      hostname: "pod-host",
      logDirectory,
      linux,
      ...more,
    };
    const { podSandboxId } = await cri.call<{ podSandboxId: string }>("RunPodSandbox", {
      config,
      runtimeHandler,
    });
    const { info } = await cri.call<{ info: object }>("PodSandboxStatus", { podSandboxId, verbose: true });
    for (const [name] of JSON.stringify(info).matchAll(/cni-[0-9a-f-]{36}/g)) engine.networkNamespaces.add(name);
    return new Pod(cri, podSandboxId, config, logDirectory);
  }

  async address(): Promise<string> {
    const { status } = await this.#cri.call<{ status: { network: { ip: string } } }>("PodSandboxStatus", {
      podSandboxId: this.id,
    });
    return status.network.ip;
  }

  /** Creates and starts a container. @returns its id. */
  async container(name: string, command: readonly string[], more: Message = {}): Promise<string> {
    const own = { securityContext: { namespaceOptions: { pid: "CONTAINER" } } };
    const config = {
      metadata: { name },
      image: { image: IMAGE },
      command,
      logPath: `${name}.log`,
      linux: own,
      ...more,
    };
    const request = { podSandboxId: this.id, config, sandboxConfig: this.#config };
    const { containerId } = await this.#cri.call<{ containerId: string }>("CreateContainer", request);
    await this.#cri.call("StartContainer", { containerId });
    return containerId;
  }

  async exec(containerId: string, ...cmd: string[]): Promise<Executed> {
    const answer = await this.#cri.call<{ exitCode: number; stdout: Buffer; stderr: Buffer }>("ExecSync", {
      containerId,
      cmd,
    });
    return { exitCode: answer.exitCode, stdout: String(answer.stdout), stderr: String(answer.stderr) };
  }

  /** Runs a command in a shell that must succeed. @returns its output without the last line's end. */
  async sh(containerId: string, script: string): Promise<string> {
    const { exitCode, stdout, stderr } = await this.exec(containerId, "sh", "-c", script);
    if (exitCode !== 0) throw new Error(`${script} ended with ${exitCode}: ${stdout}${stderr}`);
    return stdout.replace(/\n$/, "");
  }

  async status(containerId: string): Promise<{ state: string; exitCode: number; reason: string }> {
    type Answer = { status: { state: string; exitCode: number; reason: string } };
    return (await this.#cri.call<Answer>("ContainerStatus", { containerId })).status;
  }

  /** Waits for the container's end. */
  async exited(containerId: string): Promise<{ exitCode: number; reason: string }> {
    for (const end = performance.now() + LIMIT_MS; performance.now() < end; await delay(30)) {
      const status = await this.status(containerId);
      if (status.state === "CONTAINER_EXITED") return status;
    }
    throw new Error(`container ${containerId} has not ended within ${LIMIT_MS / 1000} s`);
  }

  async stop(containerId: string, timeout: number): Promise<void> {
    await this.#cri.call("StopContainer", { containerId, timeout });
  }

  async remove(containerId: string): Promise<void> {
    await this.#cri.call("RemoveContainer", { containerId });
  }

  logPath(name: string): string {
    return join(this.#logs, `${name}.log`);
  }

  /** What a container has printed, from its log file. */
  log(name: string): string {
    const lines = readFileSync(this.logPath(name), "utf8").split("\n");
    return lines.map((line) => line.split(" ").slice(3).join(" ")).join("\n");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#cri.call("StopPodSandbox", { podSandboxId: this.id });
    await this.#cri.call("RemovePodSandbox", { podSandboxId: this.id });
  }
}
