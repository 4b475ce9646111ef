import type { PollStream } from "../../native/vsock/index.ts";
import { type PortSource, SerialPort, VsockPort } from "./stream-port-sources.ts";

/** Which way a port is used; each way by one stream at a time. */
export type Way = "fromGuest" | "toGuest";

/** A port that one of a process's standard streams has for itself, one way. */
export interface StreamPort {
  /** By which the agent knows it. */
  readonly number: number;
  readonly way: Way;
  /** The chunks that it reads are valid only while their "data" event runs. */
  readonly stream: PollStream;
  /** Called when another stream wants a port and all are in use; who does not need it now may give it back. */
  wanted?: (() => void) | undefined;
}

interface Port {
  readonly source: PortSource;
  readonly taken: Map<Way, StreamPort>;
}

/** The host's ends of the ports that a VM has for standard streams. The guest is told which one it is to use. */
export class StreamPorts {
  #ports: Port[];

  private constructor(sources: readonly PortSource[]) {
    this.#ports = sources.map((source) => ({ source, taken: new Map() }));
  }

  /** Over sockets, which it takes over: the other ends are QEMU's. */
  static overSockets(fds: readonly number[]): StreamPorts {
    return new StreamPorts(fds.map((fd, index) => new SerialPort(fd, index + 1)));
  }

  /** So many connections to the guest of that address, made when they are wanted. */
  static overVsock(cid: number, count: number): StreamPorts {
    return new StreamPorts(Array.from({ length: count }, () => new VsockPort(cid)));
  }

  /** @returns undefined when all are in use, or none is there yet; a later try may have one. */
  take(way: Way): StreamPort | undefined {
    this.#ports = this.#ports.filter(({ source }) => !source.isLost);
    for (const { source, taken } of this.#ports) {
      if (taken.has(way)) continue;
      const opened = source.open();
      if (opened === undefined) continue;
      const port = { ...opened, way };
      taken.set(way, port);
      return port;
    }
    for (const { taken } of this.#ports) taken.get(way)?.wanted?.();
    return undefined;
  }

  /** For a port in which nothing is left of the stream that had it. */
  giveBack({ stream, way }: StreamPort): void {
    this.#portOf(stream)?.taken.delete(way);
  }

  /** For one of which that is not known: nobody gets it again, and the guest finds it hung up. */
  drop({ stream }: StreamPort): void {
    this.#portOf(stream)?.source.close();
  }

  /** May be called again. */
  close(): void {
    for (const { source } of this.#ports) source.close();
  }

  #portOf(stream: PollStream): Port | undefined {
    return this.#ports.find(({ source }) => source.stream === stream);
  }
}
