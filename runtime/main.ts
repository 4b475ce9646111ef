/**
 * The one program: `node caisson.cjs <name it was called by> arguments...` (scripts/launcher.sh), or the word of a daemon.
 * It only chooses which bundle to load, so that a plain verb does not pay for what starts VMs; V8's compiled form of them is
 * kept beside them (scripts/compile.sh makes it).
 */
import { join } from "node:path";
import { closeOnExecFrom } from "../native/posix/index.ts";
import { DAEMON_WORD } from "./control/daemon-word.ts";
import { FORK_SERVER_WORD } from "./factory/fork-server/maker/word.ts";
import { loadCompiled } from "./process/code-cache.ts";
import { endInWords } from "./process/last-words.ts";
import { SHIM_DAEMON_WORD, SHIM_NAME } from "./shim/daemon-word.ts";

/** Verbs that start VMs themselves. A container of such a name costs a verb a few milliseconds and changes nothing else. */
const HEAVY = ["check", "template"];

const FIRST_BESIDE_STREAMS = 3;

interface Bundles {
  cli: typeof import("./cli/main.ts");
  daemon: typeof import("./control/daemon.ts");
  "vm-starters": typeof import("./vm-starters.ts");
  shim: typeof import("./shim/main.ts");
  "shim-daemon": typeof import("./shim/daemon.ts");
}

function bundle<Name extends keyof Bundles>(name: Name): Bundles[Name] {
  return loadCompiled(join(import.meta.dirname, `${name}.cjs`)) as Bundles[Name];
}

// Until the bundle that is loaded asks for its own.
endInWords({ exitCode: 1 });

// What the caller has open besides is its own affair: Node keeps no more than the first dozen from what we start (libuv's
// uv_disable_stdio_inheritance()), and a fork server, which outlives the caller, would hand the rest to every sandbox.
closeOnExecFrom(FIRST_BESIDE_STREAMS);

const [word = "", ...args] = process.argv.slice(2);
if (word === SHIM_NAME) bundle("shim").main(args);
else if (word === SHIM_DAEMON_WORD) bundle("shim-daemon").runShimDaemon(JSON.parse(args[0] ?? ""));
else if (word === DAEMON_WORD) bundle("daemon").runDaemon(JSON.parse(args[0] ?? ""));
else if (word === FORK_SERVER_WORD) bundle("vm-starters").makeForkServer(JSON.parse(args[0] ?? ""));
else if (HEAVY.some((each) => each === word || args.includes(each))) bundle("vm-starters").main(word, args);
else bundle("cli").main(word, args);
