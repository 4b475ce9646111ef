/** A process that `exec` adds, seen from the side that asked for it. */
import type { Process } from "../../protocol/oci.ts";
import type { ControlClient } from "../control/client.ts";
import type { ExecParams } from "../control/protocol.ts";
import { tellLoss } from "../daemon/loss.ts";
import { Foreground } from "./foreground.ts";
import type { OwnTerminal } from "./terminal.ts";

export interface Execution {
  process: Process;
  ignorePaused: boolean;
  /** Where it begins, below the container's cgroup. */
  cgroup: string | undefined;
  /** Takes the terminal of a detached process. */
  consoleSocket: string | undefined;
}

/** Runs it with our standard streams and returns its exit code; `started` is called once it runs. */
export async function execInForeground(
  client: ControlClient,
  { process, ignorePaused, cgroup }: Execution,
  started: () => Promise<void>,
): Promise<number> {
  using foreground = new Foreground();
  using terminal = process.terminal === true ? await ownTerminal() : undefined;
  terminal?.makeRaw();
  const window = terminal?.mode;
  const execId = await begin(client, foreground, { process, ignorePaused, cgroup, stdio: ownStdio(), window });
  await started();
  foreground.forwardTo(client, execId, terminal && (() => terminal.size));
  const { exitCode, reason } = await client.request("wait", { execId });
  if (reason !== undefined) tellLoss(reason);
  return exitCode;
}

/** Node's tty takes a millisecond to load. */
async function ownTerminal(): Promise<OwnTerminal> {
  const { OwnTerminal } = await import("./terminal.ts");
  return new OwnTerminal();
}

/** Has the daemon start a process; a signal that comes first ends the connection, and so the attempt. */
export async function begin(client: ControlClient, { interrupted }: Foreground, params: ExecParams): Promise<string> {
  const leave = () => client.close();
  interrupted.throwIfAborted();
  interrupted.addEventListener("abort", leave);
  try {
    return (await client.request("exec", params)).execId;
  } catch (error) {
    throw interrupted.aborted ? interrupted.reason : error;
  } finally {
    interrupted.removeEventListener("abort", leave);
  }
}

/** Starts it with our standard streams, to go on when we have ended. */
export async function execDetached(client: ControlClient, { process, ignorePaused, cgroup }: Execution): Promise<void> {
  await client.request("exec", { process, ignorePaused, cgroup, stdio: ownStdio(), detached: true });
}

/** Ours, for the daemon to take. */
export function ownStdio(): ExecParams["stdio"] {
  return { pid: process.pid, stdin: 0, stdout: 1, stderr: 2 };
}
