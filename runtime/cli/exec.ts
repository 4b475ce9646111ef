import { join, resolve } from "node:path";
import { type Command, InvalidArgumentError } from "commander";
import { CaissonError } from "../../protocol/errors.ts";
import type { Process, Spec } from "../../protocol/oci.ts";
import { loadProcess } from "../oci/bundle.ts";
import { readDocument } from "../oci/document.ts";
import { validateProcess } from "../oci/validate.ts";
import { dropProcessLabels } from "../sandbox/spec/host-labels.ts";
import { withDaemon } from "./actions/daemon.ts";
import { collect, type Globals, refuse, verb } from "./command.ts";
import { applyFlags, commandProcess, type ProcessFlags } from "./exec-process.ts";
import { type Execution, execDetached, execInForeground } from "./execution.ts";
import { announcePid, checkTerminal, refusePreservedFds } from "./launch.ts";

interface ExecFlags extends Omit<ProcessFlags, "noNewPrivs"> {
  process?: string;
  newPrivs: boolean;
  consoleSocket?: string;
  detach?: boolean;
  pidFile?: string;
  pidfdSocket?: string;
  ignorePaused?: boolean;
  preserveFds: string;
  processLabel?: string;
  apparmor?: string;
  cgroup?: string;
}

/** The exit code of an exec that fails itself, as runc's, so that a caller can tell that from the status of a command, a shell's 127 say. */
const FAILURE = 255;

export function command(globals: Globals): Command {
  return verb("exec", "Runs one more process in a container and returns its exit status.")
    .argument("<container-id>")
    .argument("[command...]", "the command and its arguments; none with --process")
    .option("-p, --process <file>", "an OCI process object as JSON")
    .option("-t, --tty", "give it a terminal")
    .option("-u, --user <uid[:gid]>", "run as this user and group")
    .option("-g, --additional-gids <gid>", "one more group; may be given again", gid)
    .option("-e, --env <NAME=value>", "set a variable; may be given again", collect)
    .option("--cwd <directory>", "working directory in the container")
    .option("-c, --cap <name>", "one more capability; may be given again", collect)
    .option("--no-new-privs", "forbid it to gain privileges by execve(2)")
    .option("-d, --detach", "leave it running in the background")
    .option("--console-socket <path>", "Unix socket that is sent the terminal's master")
    .option("--pid-file <file>", "write a pid here that lives as long as the process and passes signals on")
    .option("--pidfd-socket <path>", "Unix socket that is sent a pidfd of that process")
    .option("--ignore-paused", "allow it in a paused container; it runs when the container is resumed")
    .option("--preserve-fds <n>", "only 0: a file descriptor cannot cross into a VM", "0")
    .option("--process-label <label>", "refused: the guest's kernel runs without SELinux")
    .option("--apparmor <profile>", "refused: the guest's kernel runs without AppArmor")
    .option("--cgroup <path>", "start it in this cgroup below the container's, which must exist")
    .passThroughOptions()
    .action(async (id: string, args: string[], flags: ExecFlags) => {
      try {
        process.exitCode = await exec(globals, id, args, flags);
      } catch (error) {
        process.exitCode ??= FAILURE;
        throw error;
      }
    });
}

async function exec(globals: Globals, id: string, args: readonly string[], flags: ExecFlags): Promise<number> {
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
  if (args.length === 0) throw new CaissonError("CAISSON_E_USAGE", "process args cannot be empty");
  const path = join(bundle, "config.json");
  const config = readDocument(path, "CAISSON_E_BUNDLE") as Partial<Spec> | null;
  const own = validateProcess(dropProcessLabels(config?.process), path);
  return validateProcess(commandProcess(own, args, wanted), "the process to run");
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

function gid(text: string, values: readonly number[] = []): number[] {
  const number = Number(text);
  if (!/^\d+$/.test(text) || number >= 2 ** 32 - 1) throw new InvalidArgumentError("It is not a group's number.");
  return [...values, number];
}
