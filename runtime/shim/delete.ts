import { connect } from "node:net";
import {
  DeleteRequest,
  DeleteResponse,
  KillRequest,
  ShutdownRequest,
  WaitRequest,
} from "../../protocol/generated/containerd/task.ts";
import { VM_DEATH_EXIT_CODE } from "../guest/exit-status.ts";
import { removeStopped } from "../sandbox/cleanup.ts";
import { SHIM_ROOT } from "../state/paths.ts";
import { Client } from "../ttrpc/client.ts";
import { timestamp } from "./any.ts";
import { answers, groupOf, stateOf } from "./find.ts";
import type { ShimFlags } from "./flags.ts";
import { shimPaths } from "./paths.ts";
import { TASK_SERVICES } from "./service-names.ts";

const SIGKILL = 9;
const CALL_LIMIT_MS = 3000;

/**
 * Cleans up after a container that containerd cannot reach any more: removes what its daemon has left, or asks one that
 * lives (containerd has lost the connection, or another container of the pod needs it) to remove the container.
 * @returns what to print: how the container ended.
 */
export async function deleteContainer(flags: ShimFlags): Promise<Uint8Array> {
  const { id, address, namespace } = flags;
  const group = bundleGroup(flags.bundle || process.cwd()) ?? id;
  const { key, socket } = shimPaths(address, namespace, group);
  const state = stateOf(key);
  if (state !== undefined) {
    if (state.status === "stopped") await removeStopped(SHIM_ROOT, state);
    else if (await answers(socket)) await removeTask(socket, id);
  }
  return DeleteResponse.encode({
    pid: state?.daemon.pid ?? 0,
    exitStatus: VM_DEATH_EXIT_CODE,
    exitedAt: timestamp(Date.now()),
  }).finish();
}

/** Whatever of it is not there any more is as it should be. */
async function removeTask(socket: string, id: string): Promise<void> {
  using client = new Client(connect(socket));
  const call = (method: string, payload: Uint8Array) =>
    client.call(TASK_SERVICES[0], method, payload, { timeoutMs: CALL_LIMIT_MS }).catch(() => {});
  await call("Kill", KillRequest.encode({ id, execId: "", signal: SIGKILL, all: true }).finish());
  await call("Wait", WaitRequest.encode({ id, execId: "" }).finish());
  await call("Delete", DeleteRequest.encode({ id, execId: "" }).finish());
  await call("Shutdown", ShutdownRequest.encode({ id, now: false }).finish());
}

/** The group of a bundle that may be half removed. */
function bundleGroup(bundle: string): string | undefined {
  try {
    return groupOf(bundle);
  } catch {
    return undefined;
  }
}
