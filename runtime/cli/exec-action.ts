/** What `exec` does, whichever way its words were read. */
import { resolve } from "node:path";
import { CaissonError } from "../../protocol/errors.ts";
import type { Process } from "../../protocol/oci.ts";
import type { ExecFlags } from "../control/exec-words.ts";
import type { GlobalSettings } from "../control/plain-command.ts";
import { loadProcess } from "../oci/bundle.ts";
import { applyFlags, type ProcessFlags } from "../oci/exec-process.ts";
import { validateProcess } from "../oci/validate.ts";
import { commandOfBundle } from "../sandbox/spec/exec-process.ts";
import { dropProcessLabels } from "../sandbox/spec/host-labels.ts";
import { withDaemon } from "./actions/daemon.ts";
import { announcePid, checkTerminal, refusePreservedFds } from "./caller.ts";
import { type Execution, execDetached, execInForeground } from "./execution.ts";
import { refuse } from "./refuse.ts";

/** The exit code of an exec that fails itself, as runc's, so that a caller can tell that from the status of a command, a shell's 127 say. */
export const FAILURE = 255;

/** Runs one more process in a container, and sets this process's exit code to its own. Throws what keeps it from running. */
export async function exec(
  globals: GlobalSettings,
  id: string,
  args: readonly string[],
  flags: ExecFlags,
): Promise<void> {
  try {
    process.exitCode = await run(globals, id, args, flags);
  } catch (error) {
    process.exitCode ??= FAILURE;
    throw error;
  }
}

async function run(globals: GlobalSettings, id: string, args: readonly string[], flags: ExecFlags): Promise<number> {
  refuseFlags(flags);
  const detached = flags.detach === true;
  const action = flags.ignorePaused === true ? "execIgnoringPause" : "exec";
  return await withDaemon(globals, id, action, async (client, { bundle, directory }) => {
    const execution: Execution = {
      process: wantedProcess(bundle, args, flags),
      ignorePaused: flags.ignorePaused === true,
      cgroup: flags.cgroup,
      consoleSocket: flags.consoleSocket === undefined ? undefined : resolve(flags.consoleSocket),
    };
    checkTerminal(execution.process.terminal === true, detached, flags.consoleSocket);
    if (!detached) {
      return await execInForeground(client, execution, () => announcePid(flags, process.pid));
    }
    // Nobody waits for the process's end or changes its terminal's size: the daemon alone will do.
    const unnamed = [flags.pidFile, flags.pidfdSocket, flags.consoleSocket].every((flag) => flag === undefined);
    if (unnamed) {
      await execDetached(client, execution);
    } else {
      // It takes half as long again to load as the rest of the verb.
      const { startExecMonitor } = await import("./exec-monitor.ts");
      await startExecMonitor({ directory, execution }, (pid) => announcePid(flags, pid));
    }
    return 0;
  });
}

function wantedProcess(bundle: string, args: readonly string[], flags: ExecFlags): Process {
  const { process: file, newPrivs, ...rest } = flags;
  const wanted: ProcessFlags = { ...rest, noNewPrivs: !newPrivs };
  if (file !== undefined) {
    if (args.length > 0) {
      throw new CaissonError("CAISSON_E_USAGE", "a command and --process cannot both say what to run");
    }
    return validateProcess(applyFlags(loadProcess(file, dropProcessLabels), wanted), "the process to run");
  }
  return commandOfBundle(bundle, args, wanted);
}

function refuseFlags({ preserveFds, processLabel, apparmor, cgroup }: ExecFlags): void {
  refusePreservedFds(preserveFds);
  if (processLabel !== undefined) refuse("--process-label", "the guest's kernel runs without SELinux");
  if (apparmor !== undefined) refuse("--apparmor", "the guest's kernel runs without AppArmor");
  if (cgroup === undefined) return;
  if (cgroup === "")
    throw new CaissonError("CAISSON_E_USAGE", "--cgroup: it is empty; / is the container's own cgroup");
  // A path with controllers is of cgroup v1, whose hierarchies have a place each.
  if (/^[\w,=]+:/.test(cgroup)) refuse(`--cgroup ${cgroup}`, "the guest has cgroup v2 alone: give the path alone");
}
