/**
 * The one program: `node caisson.cjs <name it was called by> arguments...` (scripts/launcher.sh), or a role (process/roles.ts).
 * It only chooses which bundle to load, so that a plain verb does not pay for what starts VMs; V8's compiled form of them is
 * kept beside them (scripts/compile.sh makes it).
 */
import { join } from "node:path";
import { closeOnExecFrom } from "../native/posix/index.ts";
import { type EarlyDaemon, earlyDaemon, earlyTask } from "./control/early-daemon.ts";
import { plainCommand } from "./control/plain-command.ts";
import { loadCompiled } from "./process/code-cache.ts";
import { endWithoutThreads } from "./process/end.ts";
import { endInWords } from "./process/last-words.ts";
import { roleOf, SHIM_NAME, WITH_ANSWER, WITH_DAEMON } from "./process/roles.ts";

/** Verbs that start VMs themselves. A container of such a name costs a verb a few milliseconds and changes nothing else. */
const HEAVY = ["check", "template"];
/** Verbs for operators, which load what no container's life needs. */
const OPERATING = ["collect", "logs", "metrics", "monitor", "shell", "trace"];

const FIRST_BESIDE_STREAMS = 3;

/** Verbs that engines call for each container (cli/quick.ts). */
const QUICK = ["delete", "kill", "pause", "resume", "start", "state"];

interface Bundles {
  quick: typeof import("./cli/quick.ts");
  exec: typeof import("./cli/quick-exec.ts");
  cli: typeof import("./cli/main.ts");
  daemon: typeof import("./daemon/daemon.ts");
  "vm-starters": typeof import("./vm-starters.ts");
  operator: typeof import("./operator.ts");
  shim: typeof import("./shim/main.ts");
  "shim-daemon": typeof import("./shim/daemon.ts");
}

const loaded = new Map<keyof Bundles, unknown>();

function bundle<Name extends keyof Bundles>(name: Name): Bundles[Name] {
  const exports = loaded.get(name) ?? loadCompiled(join(import.meta.dirname, `${name}.cjs`));
  loaded.set(name, exports);
  return exports as Bundles[Name];
}

function runVerb(args: readonly string[], daemon?: EarlyDaemon): void {
  const command = plainCommand(args);
  if (command !== undefined && QUICK.includes(command.verb) && bundle("quick").tryQuick(command)) return;
  if (command?.verb === "exec" && bundle("exec").tryExec(command)) return;
  if (HEAVY.some((each) => args.includes(each))) bundle("vm-starters").main(args, daemon);
  else bundle(OPERATING.some((each) => args.includes(each)) ? "operator" : "cli").main(args, daemon);
}

/** Goes on for native/launch: the facts of a daemon that it has started, or nothing, come before the answer that it was given. */
function goOn([facts = "", answer = "", _name, ...args]: readonly string[]): void {
  if (facts === "") bundle("exec").tellAnswer(answer, args);
  else bundle("cli").goOn(answer, args, earlyDaemon(facts, args));
}

/** Runs the daemon that native/launch has started for a command line, unless it is not one that needs it. */
function runEarlyDaemon(args: readonly string[]): void {
  const task = earlyTask(args);
  if (task === undefined) return;
  process.chdir("/");
  bundle("daemon").runDaemon(task.log, task.launch);
}

const BUNDLES: readonly (keyof Bundles)[] = [
  "quick",
  "exec",
  "cli",
  "daemon",
  "vm-starters",
  "operator",
  "shim",
  "shim-daemon",
];

/** Makes a snapshot of this process, from which others go on with run(). */
async function makeSnapshot(script: string): Promise<void> {
  endWithoutThreads();
  const isRestored = await bundle("vm-starters").makeSnapshot(script, async () => {
    BUNDLES.forEach(bundle);
    await bundle("daemon").exercise();
    await bundle("shim-daemon").exercise();
  });
  if (isRestored) run();
}

async function trySnapshot(): Promise<void> {
  await bundle("daemon").exercise();
  process.exit(bundle("vm-starters").TRIED);
}

function run(): void {
  // Until the bundle that is loaded asks for its own.
  endInWords({ exitCode: 1 });

  // What the caller has open besides is its own affair: Node keeps no more than the first dozen from what we start (libuv's
  // uv_disable_stdio_inheritance()), and a fork server, which outlives the caller, would hand the rest to every sandbox.
  closeOnExecFrom(FIRST_BESIDE_STREAMS);

  const [, script = "", word = "", ...args] = process.argv;
  const parameters = () => JSON.parse(args[0] ?? "");
  switch (roleOf(word)) {
    case "sandbox-daemon":
      if (args[0] === "--") runEarlyDaemon(args.slice(1));
      else bundle("daemon").runDaemon(parameters());
      break;
    case "shim-daemon":
      bundle("shim-daemon").runShimDaemon(args.slice(1));
      break;
    case "exec-monitor":
      bundle("cli").runExecMonitor(parameters());
      break;
    case "make-fork-server":
      bundle("vm-starters").makeForkServer(parameters());
      break;
    case "export-trace":
      bundle("operator").runExporter(parameters());
      break;
    case "make-snapshot":
      makeSnapshot(script);
      break;
    case "try-snapshot":
      trySnapshot();
      break;
    case undefined:
      if (word === SHIM_NAME) bundle("shim").main(args);
      else if (word === WITH_DAEMON) runVerb(args.slice(2), earlyDaemon(args[0] ?? "", args.slice(2)));
      else if (word === WITH_ANSWER) goOn(args);
      else runVerb(args);
  }
}

run();
