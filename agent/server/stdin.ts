import type { ServerReadableStream } from "@grpc/grpc-js";
import type { Carry } from "../../native/vsock/index.ts";
import { CaissonError } from "../../protocol/errors.ts";
import type { AgentServer, ProcessId, WriteStdinRequest } from "../../protocol/generated/agent.ts";
import type { Process } from "../container/process.ts";
import { toStatus } from "./grpc-status.ts";
import type { StreamPorts } from "./stream-ports.ts";

/** The call that carries bytes to a process's stdin, or says by which port they come. */
export function writeStdin(
  processOf: (id: ProcessId | undefined) => Process,
  ports: StreamPorts,
): AgentServer["writeStdin"] {
  return (call, callback) => {
    let target: Process | undefined;
    let carry: Carry | undefined;
    let limit = 0n;
    let answered = false;
    const answer = (error?: unknown): void => {
      if (answered) return;
      answered = true;
      if (error === undefined) callback(null, {});
      else callback(toStatus(error));
    };
    const take = ({ process, data, port, portBytes }: WriteStdinRequest): void => {
      target ??= processOf(process);
      if (port !== 0) {
        carry = ports.moveStdin(port, target.input);
        void carry.broken.then(() => answer());
      }
      limit = portBytes;
      if (data.length > 0) pass(call, target, data, answer);
    };
    call.on("data", (request) => {
      if (answered) return;
      try {
        take(request);
      } catch (error) {
        answer(error);
      }
    });
    call.on("end", () => {
      // Node reports the end of the stream also when the host resets it, just before it reports that; a lost
      // connection is no end of stdin, which stays open for the next call.
      setImmediate(() => {
        if (call.cancelled) return;
        const end = () => {
          target?.input.end();
          answer(target === undefined ? unnamed() : undefined);
        };
        if (carry === undefined) return end();
        try {
          carry.limit(Number(limit));
          void carry.over.then(end);
        } catch (error) {
          answer(error);
        }
      });
    });
    call.on("error", () => {});
  };
}

function pass(
  call: ServerReadableStream<WriteStdinRequest, object>,
  { input }: Process,
  data: Uint8Array,
  answer: () => void,
): void {
  call.pause();
  input.write(data, (open) => {
    if (!open) answer();
    call.resume();
  });
}

function unnamed(): CaissonError {
  return new CaissonError("CAISSON_E_NOT_FOUND", "the first message of WriteStdin must name a process");
}
