import type { handleServerStreamingCall, ServerWritableStream } from "@grpc/grpc-js";
import { realtime } from "../../native/posix/index.ts";
import type {
  CreateContainerRequest,
  ExecProcessRequest,
  ProcessId,
  ProcessNews,
} from "../../protocol/generated/agent.ts";
import type { Container } from "../container/container.ts";
import { Follower } from "../container/follow.ts";
import { setClockRight } from "../sandbox/clock.ts";
import type { GuestProcesses } from "../sandbox/guest-processes.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";
import { toStatus } from "./grpc-status.ts";

/** Whose processes there are. */
export type ProcessOwner = Container | GuestProcesses;

/** How much of each output is told. */
type Wanted = Pick<ExecProcessRequest, "stdoutBytes" | "stderrBytes">;

/** A process that has been added, and what is said of it first. */
interface Added extends Pick<ProcessNews, "pid" | "created"> {
  owner: ProcessOwner;
  execId: string;
}

const NOTHING: ProcessNews = { stdout: undefined, stderr: undefined, exit: undefined, pid: 0, created: undefined };

/** Makes a container, says that its init waits or runs, and tells what becomes of that. */
export function createContainer(sandbox: Sandbox): handleServerStreamingCall<CreateContainerRequest, ProcessNews> {
  return adding(async (request) => {
    if (request.start !== undefined) setClockRight(request.start);
    const receivedNs = realtime();
    const { pid, ...times } = await sandbox.createContainer(request);
    const created = { ...times, receivedNs, answeredNs: realtime() };
    return { pid, created, owner: sandbox.container(request.containerId), execId: "" };
  });
}

/** Adds a process, says that it runs, and tells what becomes of it. */
export function execProcess(
  ownerOf: (id: ProcessId | undefined) => ProcessOwner,
): handleServerStreamingCall<ExecProcessRequest, ProcessNews> {
  return adding(async (request) => {
    const owner = ownerOf(request.process);
    const pid = await owner.exec(request);
    return { pid, created: undefined, owner, execId: request.process?.execId ?? "" };
  });
}

function adding<Request extends Wanted>(
  add: (request: Request) => Promise<Added>,
): handleServerStreamingCall<Request, ProcessNews> {
  return async (call) => {
    try {
      const { pid, created, owner, execId } = await add(call.request);
      // Nobody is told any more; its outputs are for whoever reads them next.
      if (call.cancelled) return;
      call.write({ ...NOTHING, pid, created });
      call.once("cancelled", follow(call, owner, execId));
    } catch (error) {
      call.emit("error", toStatus(error));
    }
  };
}

/** Tells what becomes of a process. @returns what stops it. @throws CaissonError CAISSON_E_NOT_FOUND when there is no such process, or output. */
function follow<Request extends Wanted>(
  call: ServerWritableStream<Request, ProcessNews>,
  owner: ProcessOwner,
  execId: string,
): () => void {
  const { stdoutBytes, stderrBytes } = call.request;
  const process = owner.process(execId);
  const wanted = (stream: "stdout" | "stderr", bytes: number) =>
    bytes === 0 ? undefined : { output: process.output(stream), bytes };
  const sink = {
    write: (news: Omit<ProcessNews, "pid" | "created">) => call.write({ ...NOTHING, ...news }),
    end: () => void call.end(),
  };
  const follower = new Follower(sink, wanted("stdout", stdoutBytes), wanted("stderr", stderrBytes));
  owner.wait(execId).then(
    (exit) => follower.ended(exit),
    (error) => {
      follower.stop();
      call.emit("error", toStatus(error));
    },
  );
  return () => follower.stop();
}
