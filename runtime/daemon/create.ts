import { hostCgroupPath } from "../cgroup/cgroup.ts";
import { loadSettings } from "../config/load.ts";
import type { CreateParams } from "../control/protocol.ts";
import { now } from "../process/clock.ts";
import { tracePhase } from "../process/trace.ts";
import { removeStopped } from "../sandbox/cleanup.ts";
import { HostHooks } from "../sandbox/hooks.ts";
import { OwnProcess } from "../sandbox/host-process.ts";
import type { PlacedBundle } from "../sandbox/placement.ts";
import { Pod } from "../sandbox/pod.ts";
import type { PodContainer } from "../sandbox/pod-container.ts";
import { ContainerRecord } from "../state/container-record.ts";
import { type InitIo, openInitIo } from "./client-io.ts";

/** A container that this process stands for, in a VM of its own. */
export interface OwnContainer {
  pod: Pod;
  container: PodContainer;
  /** InitIo.letGo. */
  letGo: () => void;
  /** Removes what is left of the container when it has ended, where that is this process's task. */
  remove: (() => Promise<void>) | undefined;
}

/** Reserves the container's id, with what `delete` needs to know of it. Throws as ContainerRecord.reserve() does. */
export function reserveContainer(params: CreateParams, { bundle, rootfs, config }: PlacedBundle): ContainerRecord {
  const { root, id, systemdCgroup } = params;
  const cgroup = hostCgroupPath(id, config.linux?.cgroupsPath, systemdCgroup);
  const { annotations, hooks } = config;
  return ContainerRecord.reserve(root, {
    id,
    status: "creating",
    bundle,
    rootfs,
    annotations,
    cgroup,
    poststop: hooks?.poststop,
  });
}

/**
 * Creates the container of a bundle in a VM of its own, up to where its init waits to be started.
 * @throws CaissonError with whatever is wrong; nothing is left then. When `signal` aborts, the caller is gone and cannot be
 *   told: the record then stays, as a stopped container that `delete` removes.
 * @param next whether this process is to remove the container when it has ended, and whether it is started next.
 */
export async function createOwn(
  params: CreateParams,
  placed: PlacedBundle,
  signal: AbortSignal,
  { removes, starts }: { removes: boolean; starts: boolean },
): Promise<OwnContainer> {
  const { id, asked = { name: "caisson create", atMs: Date.now() } } = params;
  const { config } = placed;
  const reserving = now();
  const settings = loadSettings(params.config);
  const record = reserveContainer(params, placed);
  tracePhase("reserve the state", reserving);
  const hooks = new HostHooks(config.hooks, record.state);
  const { share, consoleLog } = record.paths;
  const pod = new Pod({
    id,
    settings,
    share,
    consoleLog,
    ends: "with the first",
    leavesCgroup: removes,
    isOwn: () => true,
    record,
  });
  let opened: InitIo | undefined;
  try {
    const container = await pod.create({
      id,
      bundle: placed,
      host: new OwnProcess(record.state.cgroup, { showsFiles: true }),
      hooks,
      record,
      starts,
      streams: () => {
        opened = openInitIo(params, config.process?.terminal === true);
        return opened;
      },
      asked: { id, name: asked.name, askedMs: asked.atMs, traceparent: process.env["TRACEPARENT"] },
      signal,
    });
    opened?.follow(container.container);
    const remove = removes ? () => removeStopped(params.root, record.state) : undefined;
    return { pod, container, letGo: () => opened?.letGo(), remove };
  } catch (error) {
    if (!signal.aborted) {
      record.remove();
      await hooks.poststop();
    }
    throw error;
  }
}
