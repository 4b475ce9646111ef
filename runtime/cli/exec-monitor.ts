/**
 * A process on the host that stands for a detached exec in the guest: engines wait for the pid in `--pid-file`, read
 * the exit status from it and send it signals. It also holds the terminal that went over `--console-socket`.
 */
import { Socket } from "node:net";
import { getWinsize } from "../../native/posix/index.ts";
import { CaissonError, fromWireError, type WireError } from "../../protocol/errors.ts";
import { connectControl } from "../control/client.ts";
import { readLines, writeLine } from "../control/ndjson.ts";
import { dropStandardStreams } from "../daemon/client-io.ts";
import { openConsoleTerminal } from "../guest/stdio/console.ts";
import { STARTER_FD, spawnSelf } from "../process/spawn-self.ts";
import { toWireError } from "../text/errors.ts";
import { begin, type Execution, ownStdio } from "./execution.ts";
import { Foreground } from "./foreground.ts";

export interface ExecMonitorTask {
  /** State directory of the container. */
  directory: string;
  execution: Execution;
}

type Report = { started: true } | { error: WireError };

/** Starts a monitor, with our standard streams; returns when the process runs and its pid is told, and leaves it. */
export async function startExecMonitor(task: ExecMonitorTask, announce: (pid: number) => Promise<void>): Promise<void> {
  const monitor = spawnSelf("exec-monitor", task, "inherit");
  const reports = monitor.connection;
  const report = await new Promise<Report>((resolve, reject) => {
    readLines(reports, (value) => resolve(value as Report));
    reports.once("close", () =>
      reject(new CaissonError("CAISSON_E_HOST", "the monitor of the process ended before the process ran")),
    );
  });
  if ("error" in report) throw fromWireError(report.error);
  try {
    await announce(monitor.pid);
  } catch (error) {
    // The daemon then kills the process.
    monitor.kill();
    throw error;
  }
  reports.destroy();
  monitor.unref();
}

/** The monitor's own life, which ends with the process's exit code. */
export async function followExec({ directory, execution }: ExecMonitorTask): Promise<number> {
  using foreground = new Foreground();
  const starter = new Socket({ fd: STARTER_FD });
  // The starter may have been killed meanwhile.
  starter.on("error", () => {});
  try {
    using client = await connectControl(directory);
    const { process, ignorePaused, cgroup, consoleSocket } = execution;
    const terminal = consoleSocket === undefined ? undefined : openConsoleTerminal(consoleSocket);
    const window = terminal === undefined ? undefined : getWinsize(terminal);
    const stdio =
      terminal === undefined ? ownStdio() : { ...ownStdio(), stdin: terminal, stdout: terminal, stderr: terminal };
    const execId = await begin(client, foreground, { process, ignorePaused, cgroup, stdio, window });
    // The daemon has taken them.
    dropStandardStreams(0, 1, 2);
    writeLine(starter, { started: true } satisfies Report);
    foreground.forwardTo(client, execId, terminal === undefined ? undefined : () => getWinsize(terminal));
    return (await client.request("wait", { execId })).exitCode;
  } catch (error) {
    writeLine(starter, { error: toWireError(error) } satisfies Report);
    await new Promise<void>((resolve) => starter.end(resolve));
    return 1;
  }
}
