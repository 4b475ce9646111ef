import { closeSync } from "node:fs";
import { Socket } from "node:net";
import { dirname, join } from "node:path";
import { socketpair } from "../../../native/posix/index.ts";
import { takeUid } from "../../vm/jail/uids.ts";
import type { StartOptions } from "../../vm/machine.ts";
import { pendingConnection } from "../../vm/pending-connection.ts";
import { QemuProcess } from "../../vm/qemu-process.ts";
import { type MachineParts, RunningMachine } from "../../vm/running-machine.ts";
import { plugForked } from "../../vm/share-device.ts";
import { ShareLink } from "../../vm/share-link.ts";
import type { ShareServer } from "../../vm/share-server.ts";
import type { VmSpec } from "../../vm/spec.ts";
import { StreamPorts } from "../../vm/stream-ports.ts";
import type { ForkServer } from "./fork-server.ts";
import { ForkedQemu } from "./forked-qemu.ts";

const STDERR = 2;

/** A VM that a fork server has been asked for. */
export class ForkedMachine extends RunningMachine {
  /** Resolves when QEMU's pid is known, or when it is known that there will be none. */
  readonly forked: Promise<void>;

  constructor(parts: MachineParts, agent: Socket, forked: Promise<void>) {
    super(parts, agent);
    this.forked = forked;
  }
}

/**
 * Asks the fork server for a VM, which goes on where that one was stopped. What is written to its agent's connection meanwhile waits.
 * @throws the system's error when the server is gone, or an input cannot be opened; nothing is left then.
 */
export function forkMachine(
  spec: VmSpec,
  server: ForkServer,
  { signal, trace, startShareServer }: Pick<StartOptions, "signal" | "trace" | "startShareServer">,
): ForkedMachine {
  using theirs = new DisposableStack();
  using ours = new DisposableStack();
  const lend = (fd: number) => theirs.adopt(fd, closeSync);
  const connect = () => {
    const [own, other] = socketpair();
    return { own: ours.adopt(own, closeSync), other: lend(other) };
  };
  const { roles } = server;
  const qmp = connect();
  const console = connect();
  const stderr = connect();
  const agent = pendingConnection(join(dirname(spec.consoleLog), `agent-${process.pid}.sock`));
  ours.adopt(agent.connection, closeSync);
  const library = connect();
  const [proxys, qemus] = socketpair();
  lend(proxys);
  const streams = roles.streams.map((role) => ({ role, ...connect() }));
  const descriptors = [
    [roles.qmp, qmp.other],
    [roles.console, console.other],
    [roles.agent, lend(agent.listener)],
    [STDERR, stderr.other],
    [roles.library, library.other],
    [roles.share, lend(qemus)],
    ...streams.map(({ role, other }) => [role, other] as const),
    ...spec.networks.map(({ tapFd }, index) => [roles.taps[index] ?? -1, tapFd] as const),
  ] as const;
  const { uid, release } = takeUid(spec.users);
  ours.defer(release);
  const connection = ours.adopt(server.ask(uid, descriptors), closeSync);
  trace?.("qemu asked for");
  ours.move();
  const child = new ForkedQemu(connection, stderr.own);
  void child.ended.then(release);
  const streamPorts = StreamPorts.overSockets(streams.map(({ own }) => own));
  let share: ShareServer | undefined;
  try {
    share = startShareServer?.();
    const connections = { qmpFd: qmp.own, consoleFd: console.own, consoleLog: spec.consoleLog, greeted: true };
    const qemu = new QemuProcess(connections, () => child);
    const link = new ShareLink(library.own, {
      onError: (reason) => qemu.giveUp(`its shared directory has ended: ${reason}`),
    });
    const parts = { qemu, machine: spec.machine, link, share, streamPorts };
    const within = { signal, limitMs: Number.POSITIVE_INFINITY };
    const plugged: Promise<unknown>[] = [];
    if (share !== undefined) {
      link.join(proxys, lend(share.connection));
      plugged.push(plugForked({ qmp: qemu.qmp, ...parts }, within));
    }
    Promise.all([...plugged, qemu.qmp.execute("cont", undefined, within)]).then(
      () => trace?.("qemu forked"),
      (error: unknown) => qemu.fail(error),
    );
    const agentSocket = new Socket({ fd: agent.connection, readable: true, writable: true });
    return new ForkedMachine(parts, agentSocket, child.forked);
  } catch (error) {
    child.kill();
    streamPorts.close();
    void share?.kill();
    throw error;
  }
}
