import { closeSync, openSync, readFileSync } from "node:fs";
import { Socket } from "node:net";
import { dirname, join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { builtFile } from "../../../native/addon.ts";
import { pipe, reap, spawnProgram } from "../../../native/posix/index.ts";
import { CaissonError } from "../../../protocol/errors.ts";
import { signalName } from "../../process/signal-number.ts";
import { systemErrorSentence } from "../../text/errors.ts";
import { pendingConnection } from "../../vm/pending-connection.ts";
import type { ShareServer } from "../../vm/share-server.ts";
import { virtiofsdArguments } from "./command-line.ts";
import type { Virtiofsd } from "./find.ts";

const LISTENER_FD = 3;
/**
 * What virtiofsd makes for a user it makes where the guest lets that user make it (native/share-rights). The library is named
 * by a descriptor, since a path with a space or a colon would be split (ld.so(8), LD_PRELOAD).
 */
const RIGHTS = "share-rights.so";
const RIGHTS_FD = 4;
const MESSAGE_BYTES = 2 * 1024;

/**
 * Starts virtiofsd for one VM. It is where this process is: in its cgroup, and in its mount namespace, so that it sees what is
 * mounted in the directory later. It ends with its connection.
 * @param directory the mount point of a shared mount, in a folder of our own.
 * @throws CaissonError CAISSON_E_HOST when it cannot be started.
 */
export function startVirtiofsd(virtiofsd: Virtiofsd, directory: string): ShareServer {
  try {
    return start(virtiofsd, directory);
  } catch (cause) {
    if (cause instanceof CaissonError) throw cause;
    throw new CaissonError("CAISSON_E_HOST", systemErrorSentence(`start ${virtiofsd.path}`, cause), { cause });
  }
}

function start({ path, flavour }: Virtiofsd, directory: string): ShareServer {
  using theirs = new DisposableStack();
  using ours = new DisposableStack();
  const { listener, connection } = pendingConnection(join(dirname(directory), `virtiofsd-${process.pid}.sock`));
  theirs.adopt(listener, closeSync);
  ours.adopt(connection, closeSync);
  const [said, says] = pipe();
  theirs.adopt(says, closeSync);
  ours.adopt(said, closeSync);
  const nothing = theirs.adopt(openSync("/dev/null", "r+"), closeSync);
  const words = [path, ...virtiofsdArguments(flavour, LISTENER_FD, directory)];
  const rights = theirs.adopt(openSync(builtFile(RIGHTS), "r"), closeSync);
  const environment = [`LD_PRELOAD=/proc/self/fd/${RIGHTS_FD}`];
  const pid = spawnProgram(words, [nothing, nothing, says, listener, rights], { environment });
  ours.move();
  return new VirtiofsdProcess(pid, said, connection);
}

class VirtiofsdProcess implements ShareServer {
  readonly connection: number;
  readonly ended: Promise<string>;
  readonly #pid: number;
  #isGone = false;

  /** @param said the end of a pipe that it has for its standard error. */
  constructor(pid: number, said: number, connection: number) {
    this.#pid = pid;
    this.connection = connection;
    const stderr = new Socket({ fd: said, readable: true, writable: false });
    const { promise, resolve } = Promise.withResolvers<string>();
    this.ended = promise;
    let kept = "";
    stderr.on("data", (chunk: Buffer) => {
      kept = `${kept}${chunk.toString("latin1")}`.slice(-MESSAGE_BYTES);
    });
    stderr.on("error", () => {});
    // The pipe is closed when what the process has forked has ended, too.
    stderr.once("close", () => {
      this.#isGone = true;
      // The process might have closed it itself, and live.
      kill(pid);
      const message = stripVTControlCharacters(kept)
        .replaceAll(/[^\x20-\x7e]+/g, " ")
        .trim();
      resolve(`${howEnded(pid)}${message === "" ? "" : `; it said: ${message}`}`);
    });
  }

  pids(): number[] {
    return this.#isGone ? [] : [this.#pid, ...childrenOf(this.#pid)];
  }

  async kill(): Promise<void> {
    for (const pid of this.pids()) kill(pid);
    await this.ended;
  }
}

function howEnded(pid: number): string {
  const end = reap(pid);
  if ("exitCode" in end) return `exited with status ${end.exitCode}`;
  return `was killed by ${signalName(end.signal)}`;
}

function childrenOf(pid: number): number[] {
  try {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "latin1");
    return children.split(" ").filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // Gone.
  }
}
