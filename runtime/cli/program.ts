import { resolve } from "node:path";
import type { Command } from "commander";
import { CaissonError } from "../../protocol/errors.ts";
import type { EarlyDaemon } from "../control/early-daemon.ts";
import { DEFAULT_ROOT } from "../control/plain-command.ts";
import { closest } from "../text/closest.ts";
import { type Globals, parse, verb } from "./command.ts";
import { refuse } from "./refuse.ts";
import { begin } from "./reporting.ts";
import { versionText } from "./version.ts";

interface Verb {
  summary: string;
  load: () => Promise<{ command: (globals: Globals) => Command }>;
}

/** Each verb is loaded when it is called: what the others need is not paid for. */
export const VERBS: Record<string, Verb> = {
  check: { summary: "say what this host can do and what will be used", load: () => import("./check.ts") },
  checkpoint: { summary: "not possible with a virtual machine", load: () => import("./checkpoint.ts") },
  collect: { summary: "put all that tells of a problem into one archive", load: () => import("./collect.ts") },
  create: { summary: "create a container", load: () => import("./create.ts") },
  delete: { summary: "remove a container and all it holds", load: () => import("./delete.ts") },
  events: { summary: "print a container's statistics and out-of-memory events", load: () => import("./events.ts") },
  exec: { summary: "run one more process in a container", load: () => import("./exec.ts") },
  features: { summary: "list what the runtime supports", load: () => import("./features.ts") },
  kill: { summary: "send a signal to a container", load: () => import("./kill.ts") },
  list: { summary: "list the containers", load: () => import("./list.ts") },
  logs: { summary: "print the guest's console and its agent's log", load: () => import("./logs.ts") },
  metrics: { summary: "print how all sandboxes of the host are, for Prometheus", load: () => import("./metrics.ts") },
  monitor: { summary: "serve the metrics over HTTP", load: () => import("./monitor.ts") },
  pause: { summary: "freeze all processes of a container", load: () => import("./pause.ts") },
  ps: { summary: "list the processes of a container", load: () => import("./ps.ts") },
  restore: { summary: "not possible with a virtual machine", load: () => import("./restore.ts") },
  resume: { summary: "thaw a paused container", load: () => import("./resume.ts") },
  run: { summary: "create and start a container", load: () => import("./run.ts") },
  shell: { summary: "open a shell in the guest, outside of its containers", load: () => import("./shell.ts") },
  spec: { summary: "write a new config.json", load: () => import("./spec.ts") },
  start: { summary: "start a created container", load: () => import("./start.ts") },
  state: { summary: "print the state of a container", load: () => import("./state.ts") },
  template: {
    summary: "build, list or remove the templates that VMs are cloned from",
    load: () => import("./template.ts"),
  },
  trace: { summary: "draw the phases of a start", load: () => import("./trace.ts") },
  update: { summary: "change the limits of a container", load: () => import("./update.ts") },
};

interface GlobalFlags {
  root: string;
  log?: string;
  logFormat: string;
  debug?: boolean;
  config?: string;
  trace?: string;
  rootless: string;
  systemdCgroup?: boolean;
}

/** Runs the verb named in `args`. */
export async function runProgram(args: readonly string[], daemon: EarlyDaemon | undefined): Promise<void> {
  const program = programCommand();
  let chosen: { name: string; rest: string[]; flags: GlobalFlags } | undefined;
  program.action((name: string | undefined, rest: string[], flags: GlobalFlags) => {
    chosen = { name: name ?? "help", rest, flags };
  });
  if (await parse(program, args)) return;
  if (chosen === undefined) return;
  const { name, rest, flags } = chosen;
  const globals = { ...globalsOf(flags), daemon };
  // Before the verb, so that even its first error is logged.
  await begin(globals, name);
  if (name === "help") {
    if (rest[0] === undefined) program.outputHelp();
    else await parse((await load(rest[0])).command(globals), ["--help"]);
    return;
  }
  await parse((await load(name)).command(globals), rest);
}

/** What comes before the verb: the global flags, and the help that lists the verbs. */
export function programCommand(): Command {
  const width = Math.max(...Object.keys(VERBS).map((name) => name.length)) + 2;
  const verbs = Object.entries(VERBS).map(([name, { summary }]) => `  ${name.padEnd(width)}${summary}`);
  return verb("", "Runs OCI containers, each in a virtual machine of its own.")
    .name("caisson")
    .usage("[global options] <command> [options] [arguments...]")
    .argument("[command]")
    .argument("[arguments...]")
    .enablePositionalOptions()
    .passThroughOptions()
    .option("--root <directory>", "where the containers' states are kept", DEFAULT_ROOT)
    .option("--log <file>", "append the log to this file; errors go to stderr, too")
    .option("--log-format <format>", "text or json", "text")
    .option("--debug", "log each step, its time and what was chosen")
    .option("--config <file>", "settings file (default: /etc/caisson/config.toml)")
    .option("--trace <file>", "write how long each phase took, as Chrome trace events")
    .option("--rootless <value>", "auto or false; true is refused: a VM per container needs root", "auto")
    .option("--systemd-cgroup", "systemd looks after cgroups: linux.cgroupsPath has the form slice:prefix:name")
    .version(versionText(), "-v, --version", "print the version")
    .configureHelp({ visibleArguments: () => [] })
    .addHelpText("after", `\nCommands:\n${verbs.join("\n")}\n\n"caisson <command> --help" tells about one of them.`);
}

async function load(name: string): ReturnType<Verb["load"]> {
  const found = Object.hasOwn(VERBS, name) ? VERBS[name] : undefined;
  if (found !== undefined) return await found.load();
  const near = closest(name, Object.keys(VERBS));
  throw new CaissonError("CAISSON_E_USAGE", `unknown command "${name}"`, {
    remedy: `${near === undefined ? "" : `Did you mean "${near}"? `}"caisson --help" lists the commands.`,
  });
}

function globalsOf(flags: GlobalFlags): Globals {
  const { logFormat } = flags;
  if (logFormat !== "text" && logFormat !== "json") {
    throw new CaissonError("CAISSON_E_USAGE", `invalid log-format: ${logFormat}`, { remedy: "Give text or json." });
  }
  if (flags.rootless !== "auto" && flags.rootless !== "false") {
    refuse(`--rootless ${flags.rootless}`, "a VM per container needs root", "Give auto or false, and run as root.");
  }
  return {
    root: resolve(flags.root),
    config: absolute(flags.config),
    log: absolute(flags.log),
    logFormat,
    debug: flags.debug === true,
    systemdCgroup: flags.systemdCgroup === true,
    trace: absolute(flags.trace),
  };
}

function absolute(path: string | undefined): string | undefined {
  return path === undefined ? undefined : resolve(path);
}
