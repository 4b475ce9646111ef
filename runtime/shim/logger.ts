import { spawn } from "node:child_process";
import { closeSync } from "node:fs";
import { pipe } from "../../native/posix/index.ts";
import { PollStream } from "../../native/vsock/index.ts";
import { CaissonError } from "../../protocol/errors.ts";
import { cgroupMounts, leaveCgroups } from "../cgroup/cgroup.ts";
import { inCallersNetworkNamespace } from "../network/namespace.ts";

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
  const [outRead, outWrite] = pipe();
  const [errRead, errWrite] = pipe();
  const [readyRead, readyWrite] = pipe();
  const ours = [outWrite, errWrite, readyRead];
  try {
    const env = { ...process.env, CONTAINER_ID: container.id, CONTAINER_NAMESPACE: container.namespace };
    const stdio = ["ignore", "ignore", "ignore", outRead, errRead, readyWrite] as const;
    // This process may be in the sandbox's network namespace and cgroup, which would end the logger.
    const child = inCallersNetworkNamespace(() =>
      spawn(path, args, { stdio: [...stdio], env, cwd: "/", detached: true }),
    );
    if (child.pid !== undefined) leaveCgroups(cgroupMounts(), child.pid);
    child.unref();
    const failed = new Promise<never>((_resolve, reject) => child.once("error", reject));
    for (const fd of [outRead, errRead, readyWrite]) closeSync(fd);
    const ready = new PollStream({ fd: readyRead, writable: false });
    ours.splice(ours.indexOf(readyRead), 1);
    try {
      await Promise.race([closed(ready), failed, late()]);
    } finally {
      failed.catch(() => {});
      ready.destroy();
    }
    ours.length = 0;
    return {
      stdout: new PollStream({ fd: outWrite, readable: false }),
      stderr: new PollStream({ fd: errWrite, readable: false }),
    };
  } catch (cause) {
    for (const fd of ours) closeSync(fd);
    throw new CaissonError("CAISSON_E_HOST", `the logger ${path} could not be started`, { cause });
  }
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
