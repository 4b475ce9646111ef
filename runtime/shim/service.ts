import {
  CheckpointTaskRequest,
  CloseIORequest,
  ConnectRequest,
  ConnectResponse,
  CreateTaskRequest,
  CreateTaskResponse,
  DeleteRequest,
  DeleteResponse,
  ExecProcessRequest,
  KillRequest,
  PauseRequest,
  PidsRequest,
  PidsResponse,
  ResizePtyRequest,
  ResumeRequest,
  ShutdownRequest,
  StartRequest,
  StartResponse,
  StateRequest,
  StateResponse,
  StatsRequest,
  StatsResponse,
  UpdateTaskRequest,
  WaitRequest,
  WaitResponse,
} from "../../protocol/generated/containerd/task.ts";
import type { CallContext, Services } from "../ttrpc/server.ts";
import { action, method } from "./method.ts";
import { TASK_SERVICES } from "./service-names.ts";
import { noCheckpoints, type Tasks } from "./tasks.ts";

/**
 * The Task service: what a request asks for, done by `tasks`.
 * @param shutDown called once no task is left: ends the daemon, unless a sandbox needs it.
 */
export function taskServices(tasks: Tasks, shutDown: () => void): Services {
  const methods = {
    State: method(StateRequest, StateResponse, (request) => tasks.state(request)),
    Create: method(CreateTaskRequest, CreateTaskResponse, async (request, { signal, metadata }) => ({
      pid: await tasks.create(request, signal, traceparentOf(metadata)),
    })),
    Start: method(StartRequest, StartResponse, async ({ id, execId }) => ({ pid: await tasks.get(id).start(execId) })),
    Delete: method(DeleteRequest, DeleteResponse, (request) => tasks.delete(request)),
    Pids: method(PidsRequest, PidsResponse, ({ id }) => tasks.pids(id)),
    Pause: action(PauseRequest, ({ id }) => tasks.pause(id)),
    Resume: action(ResumeRequest, ({ id }) => tasks.resume(id)),
    Checkpoint: action(CheckpointTaskRequest, ({ id }) => {
      tasks.get(id);
      throw noCheckpoints();
    }),
    Kill: action(KillRequest, ({ id, signal, execId, all }) => tasks.get(id).kill(signal, execId, all)),
    Exec: action(ExecProcessRequest, (request) => tasks.exec(request)),
    ResizePty: action(ResizePtyRequest, ({ id, execId, width: columns, height: rows }) =>
      tasks.get(id).resize({ rows, columns }, execId),
    ),
    CloseIO: action(CloseIORequest, ({ id, execId, stdin }) => {
      const task = tasks.get(id);
      if (stdin) task.closeInput(execId);
    }),
    Update: action(UpdateTaskRequest, (request) => tasks.update(request)),
    Wait: method(WaitRequest, WaitResponse, (request) => tasks.wait(request)),
    Stats: method(StatsRequest, StatsResponse, ({ id }) => tasks.stats(id)),
    Connect: method(ConnectRequest, ConnectResponse, ({ id }) => ({
      shimPid: process.pid,
      taskPid: tasks.pidOf(id),
      version: "",
    })),
    Shutdown: action(ShutdownRequest, () => {
      if (tasks.empty) setImmediate(shutDown);
    }),
  };
  return Object.fromEntries(TASK_SERVICES.map((service) => [service, methods]));
}

/** The trace's context as containerd's clients write it into a call's metadata when they trace. */
function traceparentOf(metadata: CallContext["metadata"]): string | undefined {
  return metadata.find(({ key }) => key.toLowerCase() === "traceparent")?.value;
}
