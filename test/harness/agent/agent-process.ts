import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmdirSync, rmSync } from "node:fs";
import { connect } from "node:http2";
import { connect as connectUnix } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { type ClientReadableStream, credentials, type ServiceError } from "@grpc/grpc-js";
import {
  AgentClient,
  AgentService,
  type CreateContainerRequest,
  type CreateSandboxRequest,
  type ExecProcessRequest,
  type LogRecord,
  type OutputChunk,
  type ProcessExit,
  type ProcessId,
  type ProcessNews,
  type ReadOutputRequest,
  type SandboxNews,
  Stream,
} from "../../../protocol/generated/agent.ts";

/** Mount, pid and uts namespaces of its own: what the agent mounts or names stays there, and all of it dies with it. */
const ISOLATION = [
  "--pdeathsig",
  "KILL",
  "unshare",
  "--mount",
  "--pid",
  "--uts",
  "--ipc",
  "--fork",
  "--kill-child",
  "--mount-proc",
];
const NO_OUTPUT = { stdoutBytes: 0, stderrBytes: 0 };
const TRIES = 500;
const RETRY_MS = 20;

type Service = typeof AgentService;
type UnaryMethod = {
  [M in keyof Service]: Service[M] extends { requestStream: false; responseStream: false } ? M : never;
}[keyof Service];
type Request<M extends UnaryMethod> = ReturnType<Service[M]["requestDeserialize"]>;
type Response<M extends UnaryMethod> = ReturnType<Service[M]["responseDeserialize"]>;

/** A sandbox that has been made: its first log record, and that it is none any more. */
export interface SandboxMade {
  log: Promise<LogRecord>;
  over: Promise<void>;
}

/** The real agent in a process of this machine, without a VM, and a gRPC client of it. */
export class AgentProcess {
  readonly client: AgentClient;
  readonly folder: string;
  readonly pid: number;
  /** The root of the agent's cgroups. */
  readonly cgroup: string;
  readonly #ended: Promise<unknown>;
  /** How the processes end that have been added. */
  readonly #exits = new Map<string, Promise<ProcessExit>>();

  private constructor(client: AgentClient, folder: string, pid: number, cgroup: string, ended: Promise<unknown>) {
    this.client = client;
    this.folder = folder;
    this.pid = pid;
    this.cgroup = cgroup;
    this.#ended = ended;
  }

  static async start(): Promise<AgentProcess> {
    const folder = mkdtempSync(join(tmpdir(), "caisson-agent-"));
    const cgroup = join(cgroupMount(), `caisson-agent-test-${process.pid}`);
    mkdirSync(cgroup);
    const socket = join(folder, "agent.sock");
    const agent = [
      resolve(import.meta.dirname, "../../../agent/main.ts"),
      `--listen=${socket}`,
      `--cgroupRoot=${cgroup}`,
      `--runDirectory=${folder}/run`,
      `--containerInit=${resolve(import.meta.dirname, "../../../out/native/container-init")}`,
    ];
    const child = spawn("setpriv", [...ISOLATION, process.execPath, ...agent], {
      stdio: ["ignore", "inherit", "inherit"],
    });
    const ended = once(child, "exit");
    await poll("the agent to listen", () => existsSync(socket) || child.exitCode !== null);
    const client = new AgentClient(`unix:${socket}`, credentials.createInsecure(), {
      "grpc.max_receive_message_length": 4 * 1024 * 1024,
    });
    return new AgentProcess(client, folder, child.pid ?? 0, cgroup, ended);
  }

  /** Makes a call; rejects with the ServiceError that the agent ended it with. */
  call<M extends UnaryMethod>(method: M, request: Request<M>): Promise<Response<M>> {
    type Unary = (request: Request<M>, callback: (error: ServiceError | null, response: Response<M>) => void) => void;
    // The generated client has an overload per form of a call; which method it is does not change that.
    const call = this.client[method].bind(this.client) as unknown as Unary;
    return new Promise((done, fail) => {
      call(request, (error, response) => (error === null ? done(response) : fail(error)));
    });
  }

  /** Makes a container, of which only its end is told. Rejects with the ServiceError that the agent ended the call with. */
  create(request: Omit<CreateContainerRequest, keyof typeof NO_OUTPUT>): Promise<ProcessNews> {
    const call = this.client.createContainer({ ...request, ...NO_OUTPUT });
    return this.#added({ containerId: request.containerId, execId: "" }, call);
  }

  /** Adds a process, of which only its end is told. Rejects with the ServiceError that the agent ended the call with. */
  exec(request: Omit<ExecProcessRequest, keyof typeof NO_OUTPUT>): Promise<ProcessNews> {
    return this.#added(request.process, this.client.execProcess({ ...request, ...NO_OUTPUT }));
  }

  /** How a process ends that has been added. Rejects with the ServiceError that the agent ended the call with. */
  ended(process: ProcessId): Promise<ProcessExit> {
    return this.#exits.get(keyOf(process)) ?? assert.fail(`no process ${keyOf(process)} has been added`);
  }

  #added(process: ProcessId | undefined, call: ClientReadableStream<ProcessNews>): Promise<ProcessNews> {
    const exit = new Promise<ProcessExit>((done, fail) => {
      call.on("data", (news: ProcessNews) => news.exit !== undefined && done(news.exit)).on("error", fail);
    });
    return new Promise((done, fail) => {
      exit.catch(fail);
      call.once("data", (first: ProcessNews) => {
        this.#exits.set(keyOf(process), exit);
        done(first);
      });
    });
  }

  /** Reads an output stream of a process in the background. */
  reader(containerId: string, execId = "", stream: Stream = Stream.STREAM_STDOUT): OutputReader {
    return new OutputReader(this.client, { process: { containerId, execId }, stream });
  }

  /**
   * Calls ReadOutput and reads nothing of the answer, on a connection of its own: the client of grpc-js reads on whether
   * anyone wants the messages or not.
   * @returns what ends the call.
   */
  async openOutputUnread(containerId: string): Promise<() => void> {
    const session = connect("http://agent", { createConnection: () => connectUnix(join(this.folder, "agent.sock")) });
    const { path, requestSerialize } = AgentService.readOutput;
    const message = requestSerialize({ process: { containerId, execId: "" }, stream: Stream.STREAM_STDOUT });
    const frame = Buffer.alloc(5);
    frame.writeUInt32BE(message.length, 1);
    const headers = { ":method": "POST", ":path": path, "content-type": "application/grpc", te: "trailers" };
    const stream = session.request(headers);
    stream.end(Buffer.concat([frame, message]));
    await once(stream, "response");
    return () => session.destroy();
  }

  /** All that comes from an output stream until its end. */
  async read(containerId: string, execId = "", stream: Stream = Stream.STREAM_STDOUT): Promise<string> {
    const reader = this.reader(containerId, execId, stream);
    await reader.ended;
    return reader.text;
  }

  /** Makes it a sandbox; rejects with the ServiceError that the agent ended the call with. */
  createSandbox(request: CreateSandboxRequest): Promise<SandboxMade> {
    const call = this.client.createSandbox(request);
    const log = Promise.withResolvers<LogRecord>();
    const over = new Promise<void>((done) => call.once("end", done));
    return new Promise((made, fail) => {
      call.once("error", fail);
      call.on("data", ({ news }: SandboxNews) => {
        if (news?.$case === "created") made({ log: log.promise, over });
        if (news?.$case === "log") log.resolve(news.value);
      });
    });
  }

  /** The agent's resident memory. */
  residentBytes(): number {
    const [agent] = readFileSync(`/proc/${this.pid}/task/${this.pid}/children`, "latin1").split(" ");
    const status = readFileSync(`/proc/${agent}/status`, "latin1");
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
  }

  /** Ends the agent and with it everything it started, and removes its files and cgroups. */
  async stop(): Promise<void> {
    this.client.close();
    process.kill(this.pid, "SIGKILL");
    await this.#ended;
    await removeCgroups(this.cgroup);
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** A ReadOutput call and what it brought so far. */
export class OutputReader {
  text = "";
  /** Rejects with the ServiceError that ended the stream. */
  readonly ended: Promise<void>;
  readonly #stream: ClientReadableStream<OutputChunk>;
  #changed = (): void => {};

  constructor(client: AgentClient, request: ReadOutputRequest) {
    const stream = client.readOutput(request);
    this.#stream = stream;
    this.ended = new Promise((done, fail) => stream.on("end", done).on("error", fail));
    stream.on("data", ({ data }: OutputChunk) => {
      this.text += data.toString("latin1");
      this.#changed();
    });
    this.ended.then(
      () => this.#changed(),
      () => this.#changed(),
    );
  }

  /** Resolves once all there is begins with `text`. */
  async until(text: string): Promise<void> {
    while (!this.text.startsWith(text)) {
      await Promise.race([this.ended.then(() => assert(this.text.startsWith(text), this.text)), this.#change()]);
    }
  }

  cancel(): void {
    this.#stream.cancel();
  }

  #change(): Promise<void> {
    return new Promise((done) => {
      this.#changed = done;
    });
  }
}

function keyOf(process: ProcessId | undefined): string {
  return `${process?.containerId}/${process?.execId}`;
}

function cgroupMount(): string {
  const line = readFileSync("/proc/mounts", "utf8")
    .split("\n")
    .find((mount) => mount.split(" ")[2] === "cgroup2");
  if (line === undefined) throw new Error("these tests need a cgroup v2 hierarchy");
  return line.split(" ")[1] ?? "";
}

/** Removes the cgroups: their processes have been killed, but the kernel may still be at it. */
async function removeCgroups(path: string): Promise<void> {
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    if (entry.isDirectory()) await removeCgroups(join(path, entry.name));
  }
  await poll(`${path} to be empty`, () => {
    try {
      rmdirSync(path);
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "EBUSY") return false;
      throw error;
    }
  });
}

async function poll(what: string, check: () => boolean): Promise<void> {
  for (let tries = 0; !check(); tries += 1) {
    if (tries === TRIES) throw new Error(`waited in vain for ${what}`);
    await new Promise((done) => setTimeout(done, RETRY_MS));
  }
}
