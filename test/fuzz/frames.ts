/**
 * One run: a connection whose other side sends what it likes. What is to come of each frame is worked out beside it from
 * ttrpc's PROTOCOL.md; nothing else may, and a connection that is still in step must go on answering.
 */
import assert from "node:assert/strict";
import { type Duplex, duplexPair } from "node:stream";
import { Request, Response } from "../../protocol/generated/containerd/ttrpc.ts";
import { Client } from "../../runtime/ttrpc/client.ts";
import { encodeFrame, FrameReader, HEADER_LENGTH, isOversized, MAX_DATA } from "../../runtime/ttrpc/frames.ts";
import { type Services, serve } from "../../runtime/ttrpc/server.ts";
import { StatusCode, StatusError } from "../../runtime/ttrpc/status.ts";
import { Random } from "./random.ts";

/** A connection that owes an answer for so long hangs. */
const LIMIT_MS = 60_000;
/** The body of an oversized frame takes as long as a thousand others. */
const OVERSIZED_ONE_IN = 2000;
const [REQUEST, RESPONSE, DATA] = [1, 2, 3];

const services: Services = {
  test: {
    echo: async (payload) => payload,
    refuse: async () => {
      throw new StatusError(StatusCode.notFound, "no such thing");
    },
    never: () => new Promise(() => {}),
  },
};

type Judge = (random: Random) => Promise<number>;

/** @returns how many frames were sent. @throws Error with the seed when one is not dealt with as it must be. */
export async function fuzzFrames(seed: number): Promise<number> {
  const random = new Random(seed);
  const judge = random.of<Judge>([judgeServer, judgeServer, judgeClient, judgeReader]);
  try {
    return await judge(random);
  } catch (error) {
    throw new Error(`FUZZ_SEED=${seed} FUZZ_RUNS=1 breaks ${judge.name}`, { cause: error });
  }
}

async function judgeServer(random: Random): Promise<number> {
  const [ours, theirs] = duplexPair();
  serve(theirs, services);
  const sent: Buffer[] = [];
  const expected: string[] = [];
  let last = 0;
  let inStep = true;
  const expect = (stream: number, code: number) => expected.push(`${stream}: ${code}`);
  for (let count = 5 + random.below(40); count > 0 && inStep; count--) {
    const stream = random.below(4) === 0 ? random.below(60) : last + 1 + (last % 2) + 2 * random.below(3);
    const type = random.below(4) === 0 ? random.of([0, RESPONSE, DATA, 4, 77, 255]) : REQUEST;
    if (random.below(OVERSIZED_ONE_IN) === 0) {
      const length = MAX_DATA + 1 + random.below(1000);
      // Without all of its body, everything that follows belongs to it.
      inStep = random.below(2) === 0;
      sent.push(header(length, stream, type), Buffer.alloc(inStep ? length : random.below(length)));
      expect(stream, StatusCode.resourceExhausted);
      continue;
    }
    const data = requestData(random);
    sent.push(frame(stream, type, random.below(256), data));
    if (type !== REQUEST && type !== DATA) continue;
    if (stream % 2 === 0 || type === DATA || stream <= last) {
      expect(stream, StatusCode.invalidArgument);
      continue;
    }
    last = stream;
    expect(stream, codeOf(data));
  }
  const frames = sent.length;
  if (inStep) {
    const stream = last + 1 + (last % 2);
    sent.push(frame(stream, REQUEST, 0, encode("test", "echo")));
    expect(stream, StatusCode.ok);
    if (random.below(4) === 0) sent.push(frame(stream + 2, REQUEST, 0, encode("test", "echo")).subarray(0, -1));
  }
  const answers = collect(ours, expected.length, ({ stream, type, data }) => {
    assert.equal(type, RESPONSE);
    return `${stream}: ${Response.decode(data).status?.code ?? 0}`;
  });
  await send(ours, Buffer.concat(sent), random);
  try {
    assert.deepEqual((await answers).sort(), expected.sort());
  } finally {
    ours.destroy();
    theirs.destroy();
  }
  return frames;
}

/** A request as clients send it, or one that is damaged, or none. */
function requestData(random: Random): Buffer {
  const service = random.of(["test", "test", "test", "", "__proto__", "constructor", "other"]);
  const method = random.of(["echo", "echo", "echo", "refuse", "toString", "__proto__", "", "x".repeat(300)]);
  switch (random.below(8)) {
    case 0:
      return Buffer.from(Array.from({ length: random.below(40) }, () => random.below(256)));
    case 1: {
      const data = encode(service, method);
      if (data.length > 0) data[random.below(data.length)] = random.below(256);
      return data;
    }
    case 2: {
      const data = encode(service, method);
      return data.subarray(0, random.below(data.length + 1));
    }
    case 3:
      // Groups in groups, which readers skip by calling themselves.
      return Buffer.alloc(random.below(20_000), 0x0b);
    case 4:
      return random.below(8) === 0 ? encode("test", "never", random.of([-1n, 1n, 1000n])) : encode("test", "echo");
    default:
      return encode(service, method);
  }
}

function codeOf(data: Buffer): number {
  let request: Request;
  try {
    request = Request.decode(data);
  } catch {
    return StatusCode.invalidArgument;
  }
  if (request.service !== "test") return StatusCode.unimplemented;
  if (request.method === "echo") return StatusCode.ok;
  if (request.method === "refuse") return StatusCode.notFound;
  return request.method === "never" ? StatusCode.deadlineExceeded : StatusCode.unimplemented;
}

async function judgeClient(random: Random): Promise<number> {
  const [ours, theirs] = duplexPair();
  const client = new Client(theirs);
  ours.resume();
  const calls = Array.from({ length: 1 + random.below(8) }, () =>
    client.call("test", "echo", Buffer.alloc(0)).then(
      (payload) => `ok ${payload.toString("hex")}`,
      (error: unknown) => {
        assert.ok(error instanceof StatusError);
        return `status ${error.code}`;
      },
    ),
  );
  const expected: string[] = calls.map(() => `status ${StatusCode.unavailable}`);
  const answered = new Set<number>();
  const sent: Buffer[] = [];
  for (let count = 5 + random.below(30); count > 0; count--) {
    // The next stream is the last call's.
    const stream = random.below(8) === 0 ? 2 ** 32 - 1 - random.below(9) : random.below(2 * calls.length + 1);
    const type = random.below(4) === 0 ? random.below(256) : RESPONSE;
    const oversized = random.below(OVERSIZED_ONE_IN) === 0;
    const data = responseData(random);
    if (oversized) sent.push(header(MAX_DATA + 1, stream, type), Buffer.alloc(MAX_DATA + 1));
    else sent.push(frame(stream, type, random.below(256), data));
    if (type !== RESPONSE || stream % 2 === 0 || stream >= 2 * calls.length || answered.has(stream)) continue;
    answered.add(stream);
    expected[(stream - 1) / 2] = oversized ? `status ${StatusCode.resourceExhausted}` : outcomeOf(data);
  }
  await send(ours, Buffer.concat(sent), random);
  const last = client.call("test", "echo", Buffer.alloc(0));
  const answer = Response.encode({ status: undefined, payload: Buffer.from("on") }).finish();
  ours.write(frame(2 * calls.length + 1, RESPONSE, 0, Buffer.from(answer)));
  assert.equal(String(await inTime(last)), "on");
  // The calls that have had no answer fail with the connection, which may end in the middle of a frame.
  if (random.below(2) === 0) ours.write(frame(1, RESPONSE, 0, Buffer.from("x")).subarray(0, 1 + random.below(10)));
  const closed = new Promise((resolve) => theirs.once("close", resolve));
  ours.end();
  assert.deepEqual(await inTime(Promise.all(calls)), expected);
  await inTime(closed);
  assert.equal(client.closed, true);
  ours.destroy();
  return sent.length;
}

function responseData(random: Random): Buffer {
  const status = random.below(2) === 0 ? undefined : { code: random.below(20) - 2, message: "why", details: [] };
  const data = Buffer.from(Response.encode({ status, payload: Buffer.from([random.below(256)]) }).finish());
  if (random.below(4) === 0 && data.length > 0) data[random.below(data.length)] = random.below(256);
  return random.below(8) === 0 ? data.subarray(0, random.below(data.length + 1)) : data;
}

function outcomeOf(data: Buffer): string {
  let response: Response;
  try {
    response = Response.decode(data);
  } catch {
    return `status ${StatusCode.internal}`;
  }
  const code = response.status?.code ?? 0;
  return code === 0 ? `ok ${response.payload.toString("hex")}` : `status ${code}`;
}

/** Bytes of any kind, cut anywhere, are the same frames as all of them at once. */
async function judgeReader(random: Random): Promise<number> {
  const parts = Array.from({ length: 1 + random.below(30) }, () => {
    const data = Buffer.alloc(random.below(50), random.below(256));
    const whole = frame(random.below(2 ** 32), random.below(256), random.below(256), data);
    if (random.below(8) === 0) whole[random.below(HEADER_LENGTH)] = random.below(256);
    return whole;
  });
  const bytes = Buffer.concat(parts);
  const reader = new FrameReader();
  const found: string[] = [];
  for (const piece of pieces(bytes, random)) {
    reader.push(piece);
    for (let next = reader.next(); next !== undefined; next = reader.next()) {
      const rest = isOversized(next) ? `${next.length} bytes` : `${next.flags} ${next.data.toString("hex")}`;
      found.push(`${next.stream} ${next.type} ${rest}`);
    }
  }
  const expected: string[] = [];
  let at = 0;
  while (at + HEADER_LENGTH <= bytes.length) {
    const length = bytes.readUInt32BE(at);
    const end = at + HEADER_LENGTH + length;
    const head = `${bytes.readUInt32BE(at + 4)} ${bytes[at + 8]}`;
    if (length > MAX_DATA) expected.push(`${head} ${length} bytes`);
    else if (end > bytes.length) break;
    else expected.push(`${head} ${bytes[at + 9]} ${bytes.toString("hex", at + HEADER_LENGTH, end)}`);
    at = end;
  }
  assert.deepEqual(found, expected);
  assert.equal(reader.empty, at === bytes.length);
  return parts.length;
}

function encode(service: string, method: string, timeoutNano = 0n): Buffer {
  return Buffer.from(
    Request.encode({ service, method, payload: Buffer.from("x"), timeoutNano, metadata: [] }).finish(),
  );
}

function header(length: number, stream: number, type: number): Buffer {
  const bytes = Buffer.alloc(HEADER_LENGTH);
  bytes.writeUInt32BE(length, 0);
  bytes.writeUInt32BE(stream, 4);
  bytes.writeUInt8(type, 8);
  return bytes;
}

function frame(stream: number, type: number, flags: number, data: Buffer): Buffer {
  return encodeFrame({ stream, type, flags, data });
}

function* pieces(bytes: Buffer, random: Random): Iterable<Buffer> {
  const longest = random.of([1, 9, 100, 5000]);
  // A long message comes in small pieces only at its beginning.
  for (let at = 0; at < bytes.length; ) {
    const length = at > 20_000 ? 65_536 : 1 + random.below(longest);
    yield bytes.subarray(at, at + length);
    at += length;
  }
}

async function send(connection: Duplex, bytes: Buffer, random: Random): Promise<void> {
  for (const piece of pieces(bytes, random)) {
    if (!connection.write(piece)) await inTime(new Promise((resolve) => connection.once("drain", resolve)));
  }
}

/** So many answers, and those that come before all else has been done. */
async function collect(
  connection: Duplex,
  count: number,
  describe: (frame: { stream: number; type: number; data: Buffer }) => string,
): Promise<string[]> {
  const reader = new FrameReader();
  const found: string[] = [];
  const enough = Promise.withResolvers<void>();
  connection.on("data", (chunk: Buffer) => {
    reader.push(chunk);
    for (let next = reader.next(); next !== undefined; next = reader.next()) {
      assert.ok(!isOversized(next));
      found.push(describe(next));
    }
    if (found.length >= count) enough.resolve();
  });
  if (count === 0) enough.resolve();
  await inTime(enough.promise, () => `${found.length} of ${count} answers: ${found.join(", ")}`);
  await new Promise((resolve) => setImmediate(resolve));
  return found;
}

async function inTime<T>(promise: Promise<T>, what = () => "nothing"): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`hangs after ${what()}`)), LIMIT_MS);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
