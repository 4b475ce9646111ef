/**
 * What the CLI verbs and a sandbox daemon say to each other over `<state directory>/control.sock`, and over the
 * inherited fd 3 while the daemon starts: one JSON object a line, requests numbered by the sender, answers in any order.
 *
 *     -> {"id":1,"verb":"kill","params":{"signal":15,"all":false}}
 *     <- {"id":1,"result":{}}   or   {"id":1,"error":{"code":"CAISSON_E_STATE","message":"..."}}
 *
 * The two ends are root's on one host, yet lines are bounded, so that a mistake cannot eat the daemon's memory.
 */

import type { WireError } from "../../protocol/errors.ts";
import type { Process, Resources, Spec } from "../../protocol/oci.ts";
import type { TerminalMode, WindowSize } from "../../protocol/terminal.ts";
import type { Measurement } from "../metrics/measurement.ts";
import type { StateRecord } from "../state/record.ts";

/** The longest line either side takes, bytes. */
export const MAX_LINE = 4 * 1024 * 1024;

/**
 * Standard streams of a client process, which the daemon takes over with pidfd_getfd(2). For `exec --detach` the client is
 * a monitor: a process that outlives the verb, whose pid engines wait for and signal, and which ends as the process does.
 */
export interface ClientStdio {
  pid: number;
  stdin: number;
  stdout: number;
  stderr: number;
}

export interface CreateParams {
  /** Runtime root, absolute. */
  root: string;
  id: string;
  /** Bundle directory, absolute. */
  bundle: string;
  /** Unix socket that wants the pseudo-terminal's master (process.terminal). */
  consoleSocket?: string | undefined;
  /** The daemon's inherited stdin and stdout are a terminal in raw mode which the client looks after. */
  ownTerminal?: TerminalMode | undefined;
  /** Settings file, absolute; the default one when missing. */
  config?: string | undefined;
  /** What was asked for, and when, Unix milliseconds: for the start's trace. */
  asked?: { name: string; atMs: number } | undefined;
  /** `linux.cgroupsPath` is in systemd's form, or empty. */
  systemdCgroup?: boolean | undefined;
}

/** A container for a VM that has others, or is to have. Who asks is its monitor: the process whose pid is the OCI pid. */
export interface JoinParams {
  /** Runtime root, absolute. */
  root: string;
  /** The record as the monitor has written it. */
  record: StateRecord;
  /** The bundle's directory without symbolic links. */
  directory: string;
  /** Valid; namespaces of other containers as the guest names them, bind sources and hooks without symbolic links. */
  config: Spec;
  /** The monitor's, or a terminal that it has opened. */
  stdio: ClientStdio;
  /** The terminal's mode. */
  window?: TerminalMode | undefined;
  /** A descriptor of the monitor's: what it sees mounted (storage/mount-tree.ts). */
  mounts: number;
  /** Settings file for the VM that a first container starts, absolute; the default one when missing. */
  settings?: string | undefined;
}

export interface ShellParams {
  /** Settings file that says whether this is allowed, absolute; the default one when missing. */
  config?: string | undefined;
  args: string[];
  env: string[];
  stdio: ClientStdio;
  /** The client's terminal's mode; without one the process has no terminal. */
  window?: TerminalMode | undefined;
}

/** Absolute paths; what was written before the last rotation is beside each (text/rotated-file.ts). */
export interface LogFiles {
  console: string;
  agent: string;
}

export interface ExitStatus {
  /** 0 to 255; 128 + signal when a signal ended it; 255 when the VM died under it. */
  exitCode: number;
  /** Unix milliseconds. */
  exitedAt: number;
  /** The kernel's OOM killer has killed in the container. */
  oomKilled: boolean;
  /** What Exit.memoryExhausted tells. */
  memoryExhausted?: string | undefined;
  /** A sentence that says why, where the code alone does not: the VM died under it, or had no memory left. */
  reason?: string | undefined;
}

export interface ExecParams {
  /** Unique in the container among processes that have not been reaped; the daemon makes one up when missing. */
  execId?: string | undefined;
  process: Process;
  /** With process.terminal all three are a terminal in raw mode, which the client looks after. */
  stdio: ClientStdio;
  /** The client's terminal's mode, with process.terminal. */
  window?: TerminalMode | undefined;
  /** Where it begins, below the container's cgroup; see ExecProcessRequest. */
  cgroup?: string | undefined;
  /** Run it even in a paused container (it starts when the container is resumed). */
  ignorePaused?: boolean | undefined;
  /** The process outlives the connection; without it the end of the connection kills the process (SIGKILL). */
  detached?: boolean | undefined;
}

/** What a daemon does that was started together with a command line, when that asks for it: a container, whose process is native/launch. */
export interface Launch {
  create: CreateParams;
  /** Written when the container is created; absolute. */
  pidFile: string | undefined;
  /** Whether the container is started as well. */
  starts: boolean;
  /** Whether the caller leaves then. Else its end is the container's, which the daemon removes when it has ended. */
  leaves: boolean;
}

/** A command line whose process is native/launch. */
export interface CommandParams {
  /** What follows the program's name. */
  args: string[];
  /** The process, whose standard streams an exec's process gets. */
  pid: number;
  /** What is in the file that `exec --process` names. */
  process?: string | undefined;
}

/** How it went: it is done; a container, or the process of an exec, has started; or what has come between. */
export type CommandOutcome = { started?: true } | { execId: string } | { error: WireError };

/** A process of the container as the guest's root pid namespace sees it. */
export interface ContainerProcess {
  pid: number;
  parentPid: number;
  uid: number;
  tty: string;
  /** Nanoseconds of CPU time as a decimal string. */
  cpuNs: string;
  /** Unix milliseconds. */
  startedAt: number;
  command: string;
  /** The state as ps's STAT: "Ssl". */
  stat: string;
  virtualKib: number;
  residentKib: number;
  /** Resident thousandths of the guest's memory. */
  memoryPermille: number;
}

/** Every verb: its parameters and its result, `{}` on the wire where it has none. `execId` empty or missing names the container's init. */
export interface Verbs {
  /** First request on the inherited connection only, or `join` is. Answers when the container is created. */
  create: { params: CreateParams; result: { pid: number } };
  start: { params: Record<string, never>; result: undefined };
  /**
   * Creates one more container in the VM of the one whose socket this is, or the first one of a new daemon. It lives as long
   * as this connection, which the daemon closes when the container has ended and is removed.
   */
  join: { params: JoinParams; result: undefined };
  /** As the first request in place of `create`: the daemon does what the words say that it was started with; as `command` otherwise. */
  launch: { params: Record<string, never>; result: CommandOutcome };
  /** The client leaves and the container stays; without it the end of the inherited connection ends the container. */
  detach: { params: Record<string, never>; result: undefined };
  kill: { params: { signal: number; all: boolean; execId?: string }; result: undefined };
  exec: { params: ExecParams; result: { execId: string; pid: number } };
  wait: { params: { execId?: string }; result: ExitStatus };
  /** Carries out a whole command; an error says that nothing was done. native/launch knows the answers by their text. */
  command: { params: CommandParams; result: CommandOutcome };
  resize: { params: WindowSize & { execId?: string }; result: undefined };
  ps: { params: Record<string, never>; result: { processes: ContainerProcess[] } };
  pause: { params: Record<string, never>; result: undefined };
  resume: { params: Record<string, never>; result: undefined };
  update: { params: { resources: Resources }; result: undefined };
  /** Stats as protocol/agent.proto's StatsResponse, 64-bit numbers as decimal strings, and how much memory the VM has. */
  stats: { params: Record<string, never>; result: { stats: unknown; vmMemoryMib: number } };
  /** How the sandbox is that the container is in, and its processes on the host. */
  measure: { params: Record<string, never>; result: Measurement };
  /** Runs a process in the guest, outside of its containers, if the settings allow that. It ends with the connection. */
  shell: { params: ShellParams; result: { shellId: string } };
  waitShell: { params: { shellId: string }; result: ExitStatus };
  resizeShell: { params: WindowSize & { shellId: string }; result: undefined };
  killShell: { params: { shellId: string; signal: number }; result: undefined };
  /** Where the guest's console and its agent's log are kept. */
  logFiles: { params: Record<string, never>; result: LogFiles };
  /** Ends the container (SIGKILL) and the VM; answers when both are gone, just before the daemon exits. */
  shutdown: { params: Record<string, never>; result: undefined };
}

export type Verb = keyof Verbs;

export interface Request<V extends Verb = Verb> {
  id: number;
  verb: V;
  params: Verbs[V]["params"];
}

export type Response = { id: number; result: unknown } | { id: number; error: WireError };
