import assert from "node:assert/strict";
import type { ServiceError } from "@grpc/grpc-js";
import type { CreateContainerRequest, ProcessExit } from "../../../protocol/generated/agent.ts";
import type { AgentProcess } from "./agent-process.ts";
import { configOf, makeRootfs, processOf } from "./bundle.ts";

/** The containers of an agent, which share a root file system. */
export class AgentContainers {
  readonly rootfs: string;
  readonly #agent: AgentProcess;

  constructor(agent: AgentProcess) {
    this.#agent = agent;
    this.rootfs = makeRootfs(agent.folder);
  }

  /** Creates a container that runs these words; it still waits to be started. */
  async create(containerId: string, args: string[], more = {}, process = {}): Promise<number> {
    const config = configOf(this.rootfs, args, more, process);
    return (await this.#agent.create(AgentContainers.request(containerId, config))).pid;
  }

  /** Asks for a container of that configuration, with nothing that the configuration does not say. */
  static request(containerId: string, configJson: Buffer): CreateContainerRequest {
    return {
      containerId,
      configJson,
      rows: 0,
      columns: 0,
      seccomp: undefined,
      bundle: "",
      sharedMemoryBytes: 0n,
      noStdin: false,
      keepNewlines: false,
      disks: [],
      diskMounts: [],
      passedDevices: [],
      start: undefined,
      stdoutBytes: 0,
      stderrBytes: 0,
    };
  }

  async start(containerId: string, args: string[], more = {}, process = {}): Promise<number> {
    const pid = await this.create(containerId, args, more, process);
    await this.#agent.call("startContainer", { containerId, sentNs: 0n, aheadLeastNs: 0n, aheadMostNs: 0n });
    return pid;
  }

  wait(containerId: string, execId = ""): Promise<ProcessExit> {
    return this.#agent.ended({ containerId, execId });
  }

  exec(containerId: string, execId: string, args: string[], more = {}, cgroup = ""): Promise<{ pid: number }> {
    const processJson = Buffer.from(JSON.stringify(processOf(args, more)));
    return this.#agent.exec({
      process: { containerId, execId },
      processJson,
      rows: 0,
      columns: 0,
      noStdin: false,
      cgroup,
      keepNewlines: false,
    });
  }

  signal(containerId: string, number: number, all = false, execId = ""): Promise<unknown> {
    return this.#agent.call("signalProcess", { process: { containerId, execId }, signal: number, all });
  }

  remove(containerId: string, force = false): Promise<unknown> {
    return this.#agent.call("deleteContainer", { containerId, force });
  }

  /** Runs these words to their end and returns what they wrote. */
  async outputOf(containerId: string, args: string[], more = {}, process = {}): Promise<string> {
    await this.start(containerId, args, more, process);
    const text = await this.#agent.read(containerId);
    await this.wait(containerId);
    await this.remove(containerId);
    return text;
  }
}

/** Asserts that a call fails with this code, and with this field if one is given. */
export async function fails(call: Promise<unknown>, code: string, field?: string): Promise<ServiceError> {
  let failure: ServiceError | undefined;
  await assert.rejects(call, (error: ServiceError) => {
    failure = error;
    assert.equal(error.metadata.get("caisson-code")[0], code, error.message);
    if (field !== undefined) assert.equal(error.metadata.get("caisson-field")[0], field, error.message);
    return true;
  });
  return failure as ServiceError;
}
