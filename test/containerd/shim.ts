import { spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { connect, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { BinaryWriter } from "@bufbuild/protobuf/wire";
import { ForwardRequest } from "../../protocol/generated/containerd/events.ts";
import { Client } from "../../runtime/ttrpc/client.ts";
import { serve } from "../../runtime/ttrpc/server.ts";
import { collect } from "../harness/host.ts";

const PROGRAM = join(import.meta.dirname, "..", "..", "bin", "containerd-shim-caisson-v2");
const CALL_LIMIT_MS = 200_000;
const END_LIMIT_MS = 90_000;
export const SANDBOX = "containerd.runtime.sandbox.v1.Sandbox";
export const TASK = "containerd.task.v3.Task";

export interface Codec<T> {
  encode(message: T): BinaryWriter;
  decode(input: Uint8Array): T;
}

/** A daemon that is started and spoken to as containerd does it, without containerd. */
export class Shim implements AsyncDisposable {
  readonly folder: string;
  readonly id: string;
  /** What `start` printed. */
  readonly answer: { version: number; address: string; protocol: string };
  readonly client: Client;
  /** Topics of the events, in their order. */
  readonly topics: string[];
  readonly #events: Server;

  private constructor(folder: string, id: string, answer: Shim["answer"], topics: string[], events: Server) {
    this.folder = folder;
    this.id = id;
    this.answer = answer;
    this.topics = topics;
    this.#events = events;
    this.client = new Client(connect(this.socket));
  }

  /** @param from the bundle of its container; for a sandbox it is an empty folder. */
  static async start(id: string, from?: string): Promise<Shim> {
    const folder = mkdtempSync(join(tmpdir(), "caisson-shim-"));
    const topics: string[] = [];
    const events = createServer((connection) => {
      const Forward = async (payload: Buffer) => {
        topics.push(ForwardRequest.decode(payload).envelope?.topic ?? "");
        return new Uint8Array();
      };
      serve(connection, { "containerd.services.events.ttrpc.v1.Events": { Forward } });
    });
    events.listen(join(folder, "events.sock"));
    await once(events, "listening");
    mkdirSync(join(folder, "bundle"));
    if (from !== undefined) cpSync(from, join(folder, "bundle"), { recursive: true, verbatimSymlinks: true });
    const { exitCode, stdout, stderr } = await run(folder, id, "start");
    if (exitCode !== 0) throw new Error(stderr);
    return new Shim(folder, id, JSON.parse(stdout), topics, events);
  }

  get socket(): string {
    return this.answer.address.replace("unix://", "");
  }

  /** The folder of the daemon's state. */
  get state(): string {
    return join(this.socket, "..");
  }

  /** The daemon's pid. */
  get pid(): number {
    return JSON.parse(readFileSync(join(this.state, "state.json"), "utf8")).daemon.pid;
  }

  async call<Request, Response>(
    service: string,
    method: string,
    request: Codec<Request>,
    message: Request,
    response: Codec<Response>,
    timeoutMs = CALL_LIMIT_MS,
  ): Promise<Response> {
    return response.decode(await this.client.call(service, method, request.encode(message).finish(), { timeoutMs }));
  }

  /** Waits until nothing of the daemon is there any more. */
  async gone(): Promise<boolean> {
    for (const end = performance.now() + END_LIMIT_MS; performance.now() < end; await delay(30)) {
      if (!existsSync(this.state)) return true;
    }
    return false;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.client.close();
    if (existsSync(this.state)) {
      const { pid } = this;
      try {
        process.kill(pid, "SIGTERM");
      } catch {
        // The daemon is dead, as some tests want it.
      }
      if (!(await this.gone())) await run(this.folder, this.id, "delete");
    }
    this.#events.close();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** A command line as containerd has it, for child_process; its working directory is the bundle. */
export function shimProgram(
  folder: string,
  id: string,
  action: "start" | "delete",
): [program: string, args: string[], options: { cwd: string; env: NodeJS.ProcessEnv }] {
  const args = ["-namespace", "tests", "-id", id, "-address", join(folder, "containerd.sock"), action];
  const env = { ...process.env, MAX_SHIM_VERSION: "3", TTRPC_ADDRESS: join(folder, "events.sock") };
  return [PROGRAM, args, { cwd: join(folder, "bundle"), env }];
}

async function run(folder: string, id: string, action: "start" | "delete") {
  const [program, args, options] = shimProgram(folder, id, action);
  return await collect(spawn(program, args, { ...options, stdio: ["ignore", "pipe", "pipe"] }));
}
