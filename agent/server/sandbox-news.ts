import type { handleServerStreamingCall, ServerWritableStream } from "@grpc/grpc-js";
import { realtime } from "../../native/posix/index.ts";
import type { CreateSandboxRequest, LogRecord, OomEvent, SandboxNews } from "../../protocol/generated/agent.ts";
import type { Sink } from "../broadcast.ts";
import { logBroadcast } from "../log.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";
import { toStatus } from "./grpc-status.ts";

type Call = ServerWritableStream<CreateSandboxRequest, SandboxNews>;

/** Makes the guest a sandbox, and tells what is new in it until it is none any more, or the host is gone. */
export function createSandbox(sandbox: Sandbox): handleServerStreamingCall<CreateSandboxRequest, SandboxNews> {
  return (call) => {
    try {
      const { destroyed, mountShare } = sandbox.create(call.request);
      call.write({ news: { $case: "created", value: { answeredNs: realtime() } } }, mountShare);
      const stop = tell(call, sandbox);
      call.once("cancelled", stop);
      void destroyed.then(() => {
        stop();
        call.end();
      });
    } catch (error) {
      call.emit("error", toStatus(error));
    }
  };
}

/** @returns what ends it. */
function tell(call: Call, { oom }: Sandbox): () => void {
  const logs: Sink<LogRecord> = {
    write: (value) => call.write({ news: { $case: "log", value } }),
    once: (event, listener) => call.once(event, listener),
  };
  const ooms: Sink<OomEvent> = { ...logs, write: (value) => call.write({ news: { $case: "oom", value } }) };
  const stopLogs = logBroadcast.subscribe(logs, (record, dropped) => ({ ...record, dropped: BigInt(dropped) }));
  const stopOoms = oom.subscribe(ooms);
  return () => {
    stopLogs();
    stopOoms();
  };
}
