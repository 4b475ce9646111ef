import { createWriteStream, mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { type Readable, Writable } from "node:stream";
import { STALL_LIMIT_MS } from "../guest/stdio/end-of-output.ts";
import type { ProcessIo } from "../guest/stdio/pump.ts";
import { openFifoOutput } from "./fifo.ts";
import { LateInput } from "./input.ts";
import { startLogger } from "./logger.ts";
import { parseStdio } from "./stdio-uri.ts";

/** The standard streams of a process as containerd names them. */
export interface StdioPaths {
  stdin: string;
  stdout: string;
  stderr: string;
  terminal: boolean;
}

export interface ShimIo {
  io: ProcessIo;
  input: LateInput;
  /** Closes everything, for a process that did not come to be. */
  discard(): void;
}

/**
 * Opens a process's standard streams.
 * @throws CaissonError naming the one that cannot be opened; the signal's reason. All are closed then.
 */
export async function openStdio(
  { stdin, stdout, stderr, terminal }: StdioPaths,
  container: { id: string; namespace: string },
  signal?: AbortSignal,
): Promise<ShimIo> {
  const opened: (Readable | Writable)[] = [];
  const discard = () => {
    for (const stream of opened) stream.on("error", () => {}).destroy();
  };
  const keep = <S extends Readable | Writable>(stream: S): S => {
    opened.push(stream);
    return stream;
  };
  try {
    const from = parseStdio(stdin);
    const input = new LateInput(from.kind === "none" ? undefined : from.path);
    const source = keep(input.stream);
    const out = parseStdio(stdout);
    const stallLimitMs = STALL_LIMIT_MS;
    let io: ProcessIo;
    if (out.kind === "binary") {
      const logger = await startLogger(out.path, out.args, container);
      keep(logger.stdout);
      keep(logger.stderr);
      // A logger reads two streams; the other one ends at once.
      if (terminal) logger.stderr.end();
      io = { stdin: source, stdout: logger.stdout, stderr: terminal ? undefined : logger.stderr, stallLimitMs };
    } else {
      const outputs = [
        openOutput(stdout, signal).then(keep),
        terminal ? undefined : openOutput(stderr, signal).then(keep),
      ] as const;
      const [first, second] = await settled(outputs);
      io = { stdin: source, stdout: first, stderr: second, stallLimitMs };
    }
    return { io, input, discard };
  } catch (error) {
    discard();
    throw error;
  }
}

/** Both, or the first one's error once both have settled, so that none is opened after its clean-up. */
async function settled<A, B>(promises: readonly [Promise<A>, Promise<B> | undefined]): Promise<[A, B | undefined]> {
  await Promise.allSettled(promises);
  return await Promise.all(promises);
}

async function openOutput(uri: string, signal: AbortSignal | undefined): Promise<Writable> {
  const target = parseStdio(uri);
  switch (target.kind) {
    case "fifo":
      return await openFifoOutput(target.path, signal);
    case "file":
      mkdirSync(dirname(target.path), { recursive: true });
      return createWriteStream(target.path, { flags: "a", mode: 0o644 });
    default:
      // The guest's pipe must be emptied, as /dev/null would.
      return new Writable({ write: (_chunk, _encoding, done) => done() });
  }
}
