import { closeSync, openSync } from "node:fs";
import { pipe, spawnProgram } from "../../native/posix/index.ts";
import { PollStream } from "../../native/vsock/index.ts";
import { CaissonError } from "../../protocol/errors.ts";
import { cgroupMounts, leaveCgroups } from "../cgroup/cgroup.ts";
import { callersPlace } from "../process/callers.ts";
import { environmentList } from "../process/environment.ts";
import { programEnd } from "../process/program-end.ts";

/** How long a logger may take to say that it is ready. */
const READY_LIMIT_MS = 10_000;

export interface LoggerStreams {
  stdout: PollStream;
  stderr: PollStream;
}

/**
 * Starts a logger: it reads the container's output from its descriptors 3 and 4, and closes 5 when it is ready (containerd,
 * "binary" of its shim's IO). It ends when the output does; it is not waited for then.
 * @throws CaissonError CAISSON_E_HOST when it cannot be started or is not ready in time.
 */
export async function startLogger(
  path: string,
  args: readonly string[],
  container: { id: string; namespace: string },
): Promise<LoggerStreams> {
  using ours = new DisposableStack();
  try {
    const { ready, stdout, stderr } = start([path, ...args], container, ours);
    const isReady = new PollStream({ fd: ready, writable: false });
    try {
      await Promise.race([closed(isReady), late()]);
    } finally {
      isReady.destroy();
    }
    ours.move();
    return {
      stdout: new PollStream({ fd: stdout, readable: false }),
      stderr: new PollStream({ fd: stderr, readable: false }),
    };
  } catch (cause) {
    throw new CaissonError("CAISSON_E_HOST", `the logger ${path} could not be started`, { cause });
  }
}

/** @param ours what closes our ends of its output once nobody needs them. @returns our ends of its descriptors. */
function start(
  words: readonly string[],
  { id, namespace }: { id: string; namespace: string },
  ours: DisposableStack,
): { stdout: number; stderr: number; ready: number } {
  using theirs = new DisposableStack();
  const [outRead, stdout] = pipe();
  const [errRead, stderr] = pipe();
  const [ready, readyWrite] = pipe();
  for (const fd of [outRead, errRead, readyWrite]) theirs.adopt(fd, closeSync);
  for (const fd of [stdout, stderr]) ours.adopt(fd, closeSync);
  const nothing = theirs.adopt(openSync("/dev/null", "r+"), closeSync);
  const environment = environmentList({ ...process.env, CONTAINER_ID: id, CONTAINER_NAMESPACE: namespace });
  const descriptors = [nothing, nothing, nothing, outRead, errRead, readyWrite];
  try {
    // This process may be in the sandbox's network namespace and cgroup, which would end the logger.
    const pid = spawnProgram(words, descriptors, { environment, place: callersPlace() });
    programEnd(pid).catch(() => {});
    leaveCgroups(cgroupMounts(), pid);
  } catch (error) {
    closeSync(ready);
    throw error;
  }
  return { stdout, stderr, ready };
}

function closed(stream: PollStream): Promise<void> {
  return new Promise((resolve) => {
    stream.once("close", () => resolve());
    stream.once("error", () => resolve());
    stream.resume();
  });
}

function late(): Promise<never> {
  return new Promise((_resolve, reject) => {
    setTimeout(() => reject(new Error(`it was not ready within ${READY_LIMIT_MS / 1000} s`)), READY_LIMIT_MS).unref();
  });
}
