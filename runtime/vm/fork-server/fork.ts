import { closeSync, openSync, rmSync } from "node:fs";
import { Socket } from "node:net";
import { dirname, join } from "node:path";
import { connectUnix, listenUnix, socketpair } from "../../../native/posix/index.ts";
import { socketAddress } from "../../state/socket-address.ts";
import { RunningMachine } from "../machine.ts";
import { QemuProcess } from "../qemu-process.ts";
import type { Trace, VmSpec } from "../spec.ts";
import type { ForkServer } from "./fork-server.ts";
import { ForkedQemu } from "./forked-qemu.ts";

const STDERR = 2;

/** A VM that a fork server has been asked for. */
export class ForkedMachine extends RunningMachine {
  /** Resolves when QEMU's pid is known, or when it is known that there will be none. */
  readonly forked: Promise<void>;

  constructor(qemu: QemuProcess, agent: Socket, forked: Promise<void>) {
    super(qemu, agent);
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
  { signal, trace }: { signal: AbortSignal; trace?: Trace | undefined },
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
  const share = lend(openSync(spec.shareDirectory, "r"));
  const descriptors = [
    [roles.qmp, qmp.other],
    [roles.console, console.other],
    [roles.agent, lend(agent.listener)],
    [STDERR, stderr.other],
    ...roles.share.map((target) => [target, share] as const),
    ...spec.networks.map(({ tapFd }, index) => [roles.taps[index] ?? -1, tapFd] as const),
  ] as const;
  const connection = ours.adopt(server.ask(descriptors), closeSync);
  trace?.("qemu asked for");
  ours.move();
  const child = new ForkedQemu(connection, stderr.own);
  try {
    const connections = { qmpFd: qmp.own, consoleFd: console.own, consoleLog: spec.consoleLog, greeted: true };
    const qemu = new QemuProcess(connections, () => child);
    qemu.qmp.execute("cont", undefined, { signal, limitMs: Number.POSITIVE_INFINITY }).then(
      () => trace?.("qemu forked"),
      (error: unknown) => qemu.fail(error),
    );
    const connected = new Socket({ fd: agent.connection, readable: true, writable: true });
    return new ForkedMachine(qemu, connected, child.forked);
  } catch (error) {
    child.kill();
    throw error;
  }
}

/** A socket that listens with one connection to it made already, which is all that it will ever have. */
function pendingConnection(path: string): { listener: number; connection: number } {
  using address = socketAddress(path);
  rmSync(path, { force: true });
  const listener = listenUnix(address.path);
  try {
    return { listener, connection: connectUnix(address.path) };
  } catch (error) {
    closeSync(listener);
    throw error;
  } finally {
    rmSync(path, { force: true });
  }
}
