import type { ServerWritableStream } from "@grpc/grpc-js";
import type { ExecProcessRequest, ProcessId, ProcessNews } from "../../protocol/generated/agent.ts";
import type { Container } from "../container/container.ts";
import { Follower } from "../container/follow.ts";
import type { GuestProcesses } from "../sandbox/guest-processes.ts";
import { toStatus } from "./grpc-status.ts";

/** Whose processes there are. */
export type ProcessOwner = Container | GuestProcesses;

type NewsCall<Request> = ServerWritableStream<Request, ProcessNews>;
/** How much of each output is told. */
type Wanted = Pick<ExecProcessRequest, "stdoutBytes" | "stderrBytes">;

/** Tells what becomes of a process. @returns what stops it. @throws CaissonError CAISSON_E_NOT_FOUND when there is no such process, or output. */
export function follow<Request>(
  call: NewsCall<Request>,
  owner: ProcessOwner,
  execId: string,
  { stdoutBytes, stderrBytes }: Wanted,
): () => void {
  const process = owner.process(execId);
  const wanted = (stream: "stdout" | "stderr", bytes: number) =>
    bytes === 0 ? undefined : { output: process.output(stream), bytes };
  const sink = {
    write: (news: Omit<ProcessNews, "pid">) => call.write({ ...news, pid: 0 }),
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

/** Adds a process, says that it runs, and tells what becomes of it. */
export async function execProcess(
  call: NewsCall<ExecProcessRequest>,
  ownerOf: (id: ProcessId | undefined) => ProcessOwner,
): Promise<void> {
  const { request } = call;
  try {
    const owner = ownerOf(request.process);
    const pid = await owner.exec(request);
    call.write({ pid, stdout: undefined, stderr: undefined, exit: undefined });
    call.once("cancelled", follow(call, owner, request.process?.execId ?? "", request));
  } catch (error) {
    call.emit("error", toStatus(error));
  }
}
