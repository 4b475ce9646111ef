import { once } from "node:events";
import { createServer, Socket } from "node:net";
import { socketpair } from "../../../native/posix/index.ts";
import { StreamPorts } from "../../../runtime/vm/stream-ports.ts";

/** Stands for a VM's stream ports, between the host's part of them and an agent that is a process here (listen.ts, openStreamSocket). */
export async function streamPortsOf(socket: string, count: number): Promise<StreamPorts & Disposable> {
  const fds: number[] = [];
  const ends = new DisposableStack();
  for (let number = 1; number <= count; number++) {
    const [host, ours] = socketpair();
    fds.push(host);
    const near = new Socket({ fd: ours, readable: true, writable: true });
    const server = createServer((far) => {
      far.pipe(near).pipe(far);
      for (const each of [near, far]) each.on("error", () => {});
      ends.defer(() => far.destroy());
    });
    ends.defer(() => {
      server.close();
      near.destroy();
    });
    server.listen(`${socket}.${number}`);
    await once(server, "listening");
  }
  const ports = StreamPorts.overSockets(fds);
  ends.defer(() => ports.close());
  return Object.assign(ports, { [Symbol.dispose]: () => ends.dispose() });
}
