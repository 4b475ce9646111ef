/** A way for a container to package mirrors, without routes or addresses of the host's network: a proxy for HTTP on a wire of its own. */
import { execFileSync } from "node:child_process";
import { randomInt } from "node:crypto";
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { Netns } from "../harness/network.ts";

/** Those of RFC 2544, 198.18.0.0/15: a wire has four of them, so that none has those of another that is there, or was left behind. */
const WIRES = 2 ** 15;

/** The address of this end, and of the other one. */
function addresses(): [string, string] {
  const first = (198 * 2 ** 24 + 18 * 2 ** 16 + randomInt(WIRES) * 4) >>> 0;
  const text = (address: number) => [24, 16, 8, 0].map((bits) => (address >>> bits) & 0xff).join(".");
  return [text(first + 1), text(first + 2)];
}

export class WayOut implements Disposable {
  /** What the container's network namespace is. */
  readonly netns = new Netns();
  readonly #here: string;
  readonly #there: string;
  readonly #server: Server = createServer(forward).on("connect", tunnel);
  #port = 0;

  private constructor() {
    [this.#here, this.#there] = addresses();
  }

  static async open(): Promise<WayOut> {
    const way = new WayOut();
    const wire = `w${way.netns.name}`;
    execFileSync("ip", ["link", "add", wire, "type", "veth", "peer", "name", "eth0", "netns", way.netns.name]);
    execFileSync("ip", ["addr", "add", `${way.#here}/30`, "dev", wire]);
    execFileSync("ip", ["link", "set", wire, "up"]);
    way.netns.ip(`addr add ${way.#there}/30 dev eth0\nlink set eth0 up`);
    await new Promise<void>((resolve) => way.#server.listen(0, way.#here, resolve));
    way.#port = (way.#server.address() as AddressInfo).port;
    return way;
  }

  /** For http_proxy and https_proxy. */
  get proxy(): string {
    return `http://${this.#here}:${this.#port}`;
  }

  [Symbol.dispose](): void {
    this.#server.closeAllConnections();
    this.#server.close();
    this.netns[Symbol.dispose]();
  }
}

function forward(asked: IncomingMessage, answer: ServerResponse): void {
  const onwards = request(asked.url ?? "", { method: asked.method, headers: asked.headers }, (got) => {
    answer.writeHead(got.statusCode ?? 502, got.headers);
    got.pipe(answer);
  });
  onwards.once("error", () => answer.destroy());
  asked.pipe(onwards);
}

function tunnel(asked: IncomingMessage, near: Socket, head: Buffer): void {
  const { hostname, port } = new URL(`http://${asked.url}`);
  const far = connect(Number(port || 443), hostname, () => {
    near.write("HTTP/1.1 200 OK\r\n\r\n");
    far.write(head);
    near.pipe(far).pipe(near);
  });
  far.on("error", () => near.destroy());
  near.on("error", () => far.destroy());
}
