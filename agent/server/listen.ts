import { closeSync, constants, existsSync, openSync, readdirSync, readFileSync } from "node:fs";
import { createServer as createUnixServer } from "node:net";
import type { Duplex } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { connectUnix } from "../../native/posix/index.ts";
import { createServer, discardUntilHungUp, PollStream, VMADDR_CID_HOST } from "../../native/vsock/index.ts";
import { CaissonError } from "../../protocol/errors.ts";
import { AGENT_PORT_NAME, AGENT_VSOCK_PORT, streamPortName } from "../../protocol/guest-contract.ts";
import { log } from "../log.ts";
import type { Injector } from "./server.ts";

/** A port's name follows its device node by a control message, so it may be there some milliseconds later. */
const PORT_TRIES = 100;
const PORT_RETRY_MS = 20;

/**
 * The kernel's part of vsock makes it, which PID 1 loads for a VM with such a device. Asked for a socket without it, the kernel runs modprobe:
 * 4,000 blocks for an emulator to translate.
 */
const VSOCK_DEVICE = "/dev/vsock";

/** Serves on AF_VSOCK; false when the kernel has none. Only the host is answered: a container can reach the port, too. */
export function serveVsock(injector: Injector): boolean {
  if (!existsSync(VSOCK_DEVICE)) return false;
  let current: Duplex | undefined;
  const server = createServer((socket) => {
    if (socket.remoteAddress.cid !== VMADDR_CID_HOST) {
      log("warning", `refused a vsock connection from cid ${socket.remoteAddress.cid}, which is not the host`);
      socket.destroy();
      return;
    }
    // The host has one connection; a second one means that it has given the first up.
    current?.destroy();
    current = socket;
    inject(injector, socket);
  });
  server.on("error", (error) => log("error", `vsock port ${AGENT_VSOCK_PORT}: ${error.message}`));
  try {
    server.listen({ port: AGENT_VSOCK_PORT, transientChunks: true });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EAFNOSUPPORT") return false;
    throw error;
  }
}

/** Serves on the VM's virtio-serial port, one connection after another for ever; false when the VM has no such port. */
export async function serveVirtioPort(injector: Injector): Promise<boolean> {
  const device = await findVirtioPort();
  if (device === undefined) return false;
  const fd = openSync(device, constants.O_RDWR | constants.O_NONBLOCK);
  serveConnections(fd, injector).catch((error: Error) => {
    log("error", `virtio-serial port ${device}: ${error.message}`);
    closeSync(fd);
  });
  return true;
}

async function serveConnections(fd: number, injector: Injector): Promise<never> {
  for (let first = true; ; first = false) {
    if (!first) await discardUntilHungUp(fd);
    // The next connection's session is there before the host is: a clone finds it made.
    const stream = new PollStream({ fd, keepOpen: true, transientChunks: true, awaitHost: true });
    const closed = new Promise((resolve) => stream.once("close", resolve));
    inject(injector, stream);
    await closed;
  }
}

async function findVirtioPort(): Promise<string | undefined> {
  for (let tries = 0; tries < PORT_TRIES; tries += 1) {
    const port = namedPort(AGENT_PORT_NAME);
    if (port !== undefined) return `/dev/${port}`;
    await delay(PORT_RETRY_MS);
  }
  return undefined;
}

/** Opens a stream port of the VM's. @throws CAISSON_E_NOT_FOUND when it has no such port. */
export function openStreamPort(number: number): number {
  const port = namedPort(streamPortName(number));
  if (port === undefined) throw new CaissonError("CAISSON_E_NOT_FOUND", `the VM has no stream port ${number}`);
  return openSync(`/dev/${port}`, constants.O_RDWR | constants.O_NONBLOCK);
}

/** The same for tests that run the agent without a VM: each is a Unix socket that somebody listens on. */
export function openStreamSocket(path: string, number: number): number {
  return connectUnix(`${path}.${number}`);
}

function namedPort(name: string): string | undefined {
  const folder = "/sys/class/virtio-ports";
  try {
    return readdirSync(folder).find((port) => nameOf(`${folder}/${port}/name`) === name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

function nameOf(file: string): string | undefined {
  try {
    return readFileSync(file, "latin1").trimEnd();
  } catch {
    return undefined;
  }
}

/** Serves on a Unix socket, for tests that run the agent without a VM. */
export function serveUnix(injector: Injector, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    createUnixServer((socket) => inject(injector, socket))
      .once("error", reject)
      .listen(path, resolve);
  });
}

function inject(injector: Injector, connection: Duplex): void {
  // The end of the connection reaches every call on it by itself.
  connection.on("error", (error) => log("info", `the host's connection broke: ${error.message}`));
  injector.injectConnection(connection);
}
