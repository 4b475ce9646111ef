import { release } from "node:os";
import {
  type handleServerStreamingCall,
  type handleUnaryCall,
  Server,
  ServerCredentials,
  type ServerWritableStream,
} from "@grpc/grpc-js";
import { realtime, slewRealtime } from "../../native/posix/index.ts";
import type { CaissonError } from "../../protocol/errors.ts";
import { type AgentServer, AgentService, type ProcessId, Stream } from "../../protocol/generated/agent.ts";
import { LONGEST_MESSAGE, PROTOCOL } from "../../protocol/guest-contract.ts";
import type { Process } from "../container/process.ts";
import { onlineCpus } from "../growth/cpus.ts";
import { readGuestStats } from "../guest-stats/read.ts";
import { setClockRight } from "../sandbox/clock.ts";
import { applyNetwork, networkDevices } from "../sandbox/network.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";
import { toStatus } from "./grpc-status.ts";
import { createContainer, execProcess, type ProcessOwner } from "./process-news.ts";
import { createSandbox } from "./sandbox-news.ts";
import { writeStdin } from "./stdin.ts";
import { decodeWriteStdin, encodeOutputChunk } from "./stdio-codec.ts";
import type { StreamPorts } from "./stream-ports.ts";

declare const CAISSON_VERSION: string;

const STREAM_LIMIT = 1024;

const SERVICE: typeof AgentService = {
  ...AgentService,
  readOutput: { ...AgentService.readOutput, responseSerialize: encodeOutputChunk },
  writeStdin: { ...AgentService.writeStdin, requestDeserialize: decodeWriteStdin },
};

export interface Injector {
  injectConnection(connection: import("node:stream").Duplex): void;
}

/**
 * The gRPC server over a sandbox, not bound to anything: connections are injected.
 *
 * Its HTTP/2 windows stay at the protocol's 64 KiB (RFC 9113, 6.9.2), however wide the host's are: Node does not read
 * from a connection while a write to it is unfinished (Http2Session::MaybeStopReading), so two ends that both fill the
 * transport would wait for each other for ever. 64 KiB always fit into it.
 */
export function createServer(sandbox: Sandbox, ports: StreamPorts): Injector {
  const server = new Server({
    "grpc.max_receive_message_length": LONGEST_MESSAGE,
    "grpc.max_concurrent_streams": STREAM_LIMIT,
    "grpc.enable_channelz": 0,
  });
  server.addService(SERVICE, handlers(sandbox, ports));
  return server.createConnectionInjector(ServerCredentials.createInsecure());
}

function handlers(sandbox: Sandbox, ports: StreamPorts): AgentServer {
  /** Whose process it is: a container's, or without one the guest's own. */
  const ownerOf = (id: ProcessId | undefined): ProcessOwner =>
    id === undefined || id.containerId === "" ? sandbox.processes : sandbox.container(id.containerId);
  const process = (id: ProcessId | undefined): Process => ownerOf(id).process(id?.execId ?? "");
  return {
    check: unary(() => ({
      protocolMajor: PROTOCOL.major,
      protocolMinor: PROTOCOL.minor,
      agentVersion: typeof CAISSON_VERSION === "string" ? CAISSON_VERSION : "unbundled",
      kernelRelease: release(),
      networkDevices: networkDevices(),
    })),

    createSandbox: createSandbox(sandbox),
    destroySandbox: action(() => sandbox.destroy()),
    growSandbox: unary(async ({ memorySteps, cpus }) => {
      await sandbox.memorySteps.take(memorySteps);
      return { memorySteps: sandbox.memorySteps.taken, cpus: onlineCpus(cpus) };
    }),
    updateNetwork: action(({ requests, pid }) => applyNetwork(requests, pid)),
    attachNetworkDevice: unary(async (request) => ({ index: await sandbox.networkDevices.attach(request) })),
    detachNetworkDevice: action((request) => sandbox.networkDevices.detach(request)),

    adjustClock: unary(({ slewNs }) => {
      const receivedNs = realtime();
      if (slewNs !== 0n) slewRealtime(slewNs);
      return { receivedNs, answeredNs: realtime() };
    }),

    createContainer: createContainer(sandbox),
    startContainer: unary(async (request) => {
      const container = sandbox.container(request.containerId);
      setClockRight(request);
      const receivedNs = realtime();
      await container.start();
      return { receivedNs, answeredNs: realtime() };
    }),
    deleteContainer: action(({ containerId, force }) => sandbox.deleteContainer(containerId, force)),
    pauseContainer: action(({ containerId }) => sandbox.container(containerId).pause()),
    resumeContainer: action(({ containerId }) => sandbox.container(containerId).resume()),
    updateContainer: action((request) => sandbox.container(request.containerId).update(request.resourcesJson)),

    execProcess: execProcess(ownerOf),
    signalProcess: action((request) => ownerOf(request.process).signal(request)),

    closeOutput: action(({ process: id, stream }) => process(id).closeOutput(nameOf(stream))),
    closeStdin: action(({ process: id }) => process(id).input.end()),
    setTtyNewlines: action(({ process: id, keepNewlines }) => process(id).keepNewlines(keepNewlines)),
    hangUpTty: action(({ process: id }) => process(id).hangUp()),
    resizeTty: action(({ process: id, rows, columns }) => process(id).resize(rows, columns)),
    writeStdin: writeStdin(process, ports),
    moveOutput: unary(({ process: id, stream, port }) => ({
      moved: ports.moveOutput(port, process(id).output(nameOf(stream))),
    })),
    awaitOutput: unary(async ({ port, stop }) => ({ bytes: BigInt(await ports.awaitOutput(port, stop)) })),
    drainStdin: action(({ port, portBytes }) => ports.drainStdin(port, Number(portBytes))),
    readOutput: streaming((call) => {
      const { process: id, stream } = call.request;
      const output = process(id).output(nameOf(stream));
      const sink = {
        write: (data: Buffer): boolean => call.write({ data }),
        onDrain: (listener: () => void): void => void call.once("drain", listener),
        end: (): void => void call.end(),
        fail: (error: CaissonError): void => void call.emit("error", toStatus(error)),
      };
      output.attach(sink);
      return () => output.detach(sink);
    }),

    serveSocket: streaming((call) => sandbox.sockets.serve(call.request, (connection) => void call.write(connection))),
    writeVolume: action((request) => sandbox.volumes.write(request)),
    removeVolume: action(({ path }) => sandbox.volumes.remove(path)),
    carryConnection: (call) => sandbox.sockets.carry(call),

    listProcesses: unary(({ containerId }) => ({ processes: sandbox.container(containerId).processes() })),
    stats: unary(({ containerId }) => sandbox.container(containerId).stats()),
    guestStats: unary(() => readGuestStats(sandbox.inits)),
  };
}

function nameOf(stream: Stream): "stdout" | "stderr" {
  return stream === Stream.STREAM_STDERR ? "stderr" : "stdout";
}

/** A handler from a function of the request. */
function unary<Request, Response>(
  handle: (request: Request) => Response | Promise<Response>,
): handleUnaryCall<Request, Response> {
  return (call, callback) => {
    const fail = (error: unknown): void => callback(toStatus(error));
    try {
      const result = handle(call.request);
      if (result instanceof Promise) result.then((response) => callback(null, response), fail);
      else callback(null, result);
    } catch (error) {
      fail(error);
    }
  };
}

/** A handler whose answer has no fields. */
function action<Request>(handle: (request: Request) => void | Promise<void>): handleUnaryCall<Request, object> {
  return unary((request: Request) => {
    const result = handle(request);
    return result instanceof Promise ? result.then(() => ({})) : {};
  });
}

/** A handler from a function that starts the stream and returns what stops it when the host goes away. */
function streaming<Request, Response>(
  start: (call: ServerWritableStream<Request, Response>) => () => void,
): handleServerStreamingCall<Request, Response> {
  return (call) => {
    try {
      const stop = start(call);
      call.once("cancelled", stop);
    } catch (error) {
      call.emit("error", toStatus(error));
    }
  };
}
