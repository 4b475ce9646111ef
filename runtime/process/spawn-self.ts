import { closeSync, openSync } from "node:fs";
import type { Socket } from "node:net";
import { type Place, type ProcessEnd, pipe, reapIfEnded, socketpair, spawnProgram } from "../../native/posix/index.ts";
import { CaissonError } from "../../protocol/errors.ts";
import { systemErrorSentence } from "../text/errors.ts";
import { delay } from "./delay.ts";
import { environmentList } from "./environment.ts";
import { nodeFlags, type Role } from "./roles.ts";
import { restoring } from "./snapshot.ts";

/** The descriptor by which a process of ours finds its connection with the one that started it. */
export const STARTER_FD = 3;
const REAP_POLL_MS = 1;
/** The others are started seldom, and by nobody who waits for that. */
const RESTORED: readonly Role[] = ["sandbox-daemon", "exec-monitor"];

export interface OwnProcess {
  readonly pid: number;
  /** The other end of the child's STARTER_FD. */
  readonly connection: Socket;
  /** Resolves when it has ended. Rejects with the system's error if another part of this process has waited for it. */
  readonly ended: Promise<ProcessEnd>;
  /** Lets this process end before that one, as far as it does not wait for its connection. */
  unref(): void;
  /** Takes that back. */
  ref(): void;
  /** Kills it if it still runs. */
  kill(): void;
}

/**
 * Starts this program in a role, in a session of its own and with the root directory as its working directory, so that it
 * may outlive the caller and holds no mount of the caller's.
 * @param parameters what the role takes; JSON can say it.
 * @param stdio "inherit" gives the child our standard streams. @param place where it is started, if not where we are.
 * @throws CaissonError CAISSON_E_INTERNAL when the program's own file is unknown, CAISSON_E_HOST when it cannot be started.
 */
export function spawnSelf(role: Role, parameters: unknown, stdio: "inherit" | "ignore", place?: Place): OwnProcess {
  const script = process.argv[1];
  if (script === undefined) throw new CaissonError("CAISSON_E_INTERNAL", "the program's own file is unknown");
  const plain = [process.execPath, ...nodeFlags(role, process.execArgv), script, role, JSON.stringify(parameters)];
  const words = RESTORED.includes(role) ? restoring(script, plain) : plain;
  try {
    return startChild(words, stdio, { environment: environmentList(process.env), ...(place && { place }) });
  } catch (cause) {
    throw new CaissonError("CAISSON_E_HOST", systemErrorSentence(`start ${process.execPath}`, cause), { cause });
  }
}

/** Of a program that is started, beside its words and streams. */
interface ChildOptions {
  /** All that it has, as NAME=VALUE; nothing when left out. */
  environment?: readonly string[];
  /** Where it is started, if not where we are. */
  place?: Place;
  /** Its first own descriptor: the numbers below are in use. */
  firstDescriptor?: number;
}

/**
 * Starts another program likewise, which has its connection with this process as STARTER_FD.
 * @param words its absolute path, and its arguments. @throws the system's error.
 */
export function startChild(
  words: readonly string[],
  stdio: "inherit" | "ignore",
  { firstDescriptor = 0, ...options }: ChildOptions = {},
): OwnProcess {
  using theirs = new DisposableStack();
  using ours = new DisposableStack();
  const [own, other] = socketpair();
  ours.adopt(own, closeSync);
  theirs.adopt(other, closeSync);
  // Nobody writes to it: it ends with the process.
  const [life, held] = pipe();
  ours.adopt(life, closeSync);
  theirs.adopt(held, closeSync);
  const nothing = theirs.adopt(openSync("/dev/null", "r+"), closeSync);
  const streams = stdio === "inherit" ? [0, 1, 2] : [nothing, nothing, nothing];
  const descriptors = [...streams, other, held];
  while (descriptors.length < firstDescriptor) descriptors.push(nothing);
  const pid = spawnProgram(words, descriptors, options);
  ours.move();
  return new Child(pid, own, life);
}

/**
 * A process of ours that another program has started as a child of this process, as spawnSelf() starts its own.
 * @param connection our end of its STARTER_FD. @param life our end of the pipe that it holds the other end of while it lives.
 */
export function adoptChild(pid: number, connection: number, life: number): OwnProcess {
  return new Child(pid, connection, life);
}

class Child implements OwnProcess {
  readonly pid: number;
  readonly connection: Socket;
  readonly ended: Promise<ProcessEnd>;
  readonly #life: Socket;
  #hasEnded = false;

  constructor(pid: number, connection: number, life: number) {
    this.pid = pid;
    // Loading it takes 3 ms, which verbs that start nothing do not spend.
    const { Socket } = process.getBuiltinModule("node:net");
    this.connection = new Socket({ fd: connection, readable: true, writable: true });
    this.#life = new Socket({ fd: life, readable: true, writable: false }).resume();
    this.#life.on("error", () => {});
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#life.once("close", resolve);
    this.ended = promise.then(() => this.#reap());
    // Not everybody waits for it.
    this.ended.catch(() => {});
  }

  /** Its descriptors are closed a moment before it has ended. */
  async #reap(): Promise<ProcessEnd> {
    for (;;) {
      const end = reapIfEnded(this.pid);
      if (end !== undefined) {
        this.#hasEnded = true;
        return end;
      }
      await delay(REAP_POLL_MS);
    }
  }

  unref(): void {
    this.#life.unref();
  }

  ref(): void {
    this.#life.ref();
  }

  kill(): void {
    // Until it is reaped its pid is no other's.
    if (!this.#hasEnded) process.kill(this.pid, "SIGKILL");
  }
}
