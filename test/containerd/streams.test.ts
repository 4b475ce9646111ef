import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Cri, Message } from "./cri.ts";
import { Engine, options, whyNot } from "./engine.ts";
import { Pod } from "./pod.ts";

let engine: Engine;
let cri: Cri;
before(async () => {
  if (whyNot !== undefined) return;
  engine = await Engine.start();
  cri = engine.cri();
});
after(async () => {
  if (whyNot !== undefined) return;
  cri[Symbol.dispose]();
  await engine.stop();
});

const LIMIT_MS = 120_000;
/** Kubernetes' channels of one WebSocket (remotecommand, v4.channel.k8s.io): a message's first byte. */
const [STDIN, STDOUT, STDERR, RESULT, RESIZE] = [0, 1, 2, 3, 4];

/** A streaming call: what comes out of its channels, and a way in. */
class Stream {
  /** Resolves when the other side has ended it. */
  readonly ended: Promise<void>;
  readonly #socket: WebSocket;
  readonly #chunks: Buffer[][] = [];
  #wake = () => {};

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.addEventListener("message", ({ data }) => {
      const bytes = Buffer.from(data as ArrayBuffer);
      const channel = bytes[0] ?? 0;
      this.#chunks[channel] ??= [];
      this.#chunks[channel].push(bytes.subarray(1));
      this.#wake();
    });
    socket.addEventListener("close", () => this.#wake());
    this.ended = new Promise((resolve) => socket.addEventListener("close", () => resolve()));
  }

  static async open(method: string, request: Message, protocol = "v4.channel.k8s.io"): Promise<Stream> {
    const { url } = await cri.call<{ url: string }>(method, request);
    const socket = new WebSocket(url.replace(/^http/, "ws"), protocol);
    socket.binaryType = "arraybuffer";
    const stream = new Stream(socket);
    await new Promise((resolve, reject) => {
      socket.addEventListener("open", resolve);
      socket.addEventListener("error", reject);
    });
    return stream;
  }

  send(channel: number, data: string): void {
    this.#socket.send(Buffer.concat([Buffer.from([channel]), Buffer.from(data)]));
  }

  text(channel: number): string {
    return Buffer.concat(this.#chunks[channel] ?? []).toString();
  }

  /** Waits until a channel has shown that. */
  async until(channel: number, pattern: RegExp): Promise<void> {
    const late = AbortSignal.timeout(LIMIT_MS);
    while (!pattern.test(this.text(channel))) {
      if (late.aborted || this.#socket.readyState > WebSocket.OPEN) {
        assert.match(this.text(channel), pattern);
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        setTimeout(resolve, 200);
      });
    }
  }

  close(): void {
    this.#socket.close();
  }
}

test("Exec streams input and both outputs, and tells the exit code", options, async () => {
  await using pod = await Pod.run(engine, cri);
  const containerId = await pod.container("any", ["sleep", "1000"]);
  const cmd = ["sh", "-c", "read line; echo got $line; echo complaint >&2; exit 4"];
  const stream = await Stream.open("Exec", { containerId, cmd, stdin: true, stdout: true, stderr: true });
  stream.send(STDIN, "a word\n");
  await stream.until(RESULT, /"message":"4"/);
  assert.equal(stream.text(STDOUT), "got a word\n");
  assert.equal(stream.text(STDERR), "complaint\n");
});

test("Exec with a terminal takes its size, also when it changes", options, async () => {
  await using pod = await Pod.run(engine, cri);
  const containerId = await pod.container("any", ["sleep", "1000"]);
  // The size goes another way than the line.
  const script = "echo ready; read x; until stty size | grep -q '31.101'; do sleep 0.1; done; stty size";
  const cmd = ["sh", "-c", script];
  const stream = await Stream.open("Exec", { containerId, cmd, stdin: true, stdout: true, tty: true });
  await stream.until(STDOUT, /ready/);
  stream.send(RESIZE, JSON.stringify({ Width: 101, Height: 31 }));
  stream.send(STDIN, "\n");
  await stream.until(STDOUT, /31 101\r\n/);
});

test("Attach reaches the container's own input and output, more than once", options, async () => {
  await using pod = await Pod.run(engine, cri);
  const script = "while read line; do echo heard $line; done";
  const containerId = await pod.container("listener", ["sh", "-c", script], { stdin: true });
  const attach = { containerId, stdin: true, stdout: true, stderr: true };
  for (const word of ["first", "second"]) {
    const stream = await Stream.open("Attach", attach);
    stream.send(STDIN, `${word}\n`);
    await stream.until(STDOUT, new RegExp(`heard ${word}`));
    stream.close();
  }
  assert.equal((await pod.status(containerId)).state, "CONTAINER_RUNNING");
});

test("PortForward reaches a server that listens on the pod's loopback", options, async () => {
  await using pod = await Pod.run(engine, cri);
  const script = "echo through the port > /tmp/page && exec httpd -f -p 127.0.0.1:8080 -h /tmp";
  await pod.container("server", ["sh", "-c", script]);
  const request = { podSandboxId: pod.id, port: [8080] };
  // Channels 0 and 1 are the port's data and errors; each begins with the port's number.
  // The server may take a moment to listen.
  for (const late = AbortSignal.timeout(LIMIT_MS); ; ) {
    const stream = await Stream.open("PortForward", request, "v4.channel.k8s.io");
    stream.send(0, "GET /page HTTP/1.0\r\n\r\n");
    await stream.ended;
    if (/through the port/.test(stream.text(0))) return;
    assert.ok(!late.aborted, `the port says ${JSON.stringify(stream.text(0))}, and ${JSON.stringify(stream.text(1))}`);
  }
});
