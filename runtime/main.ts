/**
 * The one program: `node caisson.cjs <name it was called by> arguments...` (scripts/launcher.sh), or the word of a daemon.
 * It only chooses which bundle to load, so that a plain verb does not pay for what starts VMs; V8's compiled form of them is
 * kept beside them (scripts/bundle.ts makes it).
 */
import { existsSync } from "node:fs";
import { enableCompileCache } from "node:module";
import { join } from "node:path";
import { DAEMON_WORD } from "./control/daemon-word.ts";
import { STANDBY_WORD } from "./sandbox/standby/word.ts";
import { SHIM_DAEMON_WORD, SHIM_NAME } from "./shim/daemon-word.ts";

/** Verbs that need the whole. A container of such a name costs a verb a few milliseconds and changes nothing else. */
const HEAVY = [DAEMON_WORD, "check", "template"];

const compiled = join(import.meta.dirname, "compile-cache");
if (existsSync(compiled)) enableCompileCache({ directory: compiled, portable: true });

const [word = "", ...args] = process.argv.slice(2);
if (word === SHIM_NAME) {
  import("./shim/main.ts").then(({ main }) => main(args));
} else if (word === SHIM_DAEMON_WORD) {
  import("./shim/daemon.ts").then(({ runShimDaemon }) => runShimDaemon(JSON.parse(args[0] ?? "")));
} else if (word === STANDBY_WORD) {
  import("./whole.ts").then(({ holdStandby }) => holdStandby(JSON.parse(args[0] ?? "")));
} else if (!HEAVY.some((each) => each === word || args.includes(each))) {
  import("./cli/main.ts").then(({ main }) => main(word, args));
} else {
  import("./whole.ts").then(({ main, runDaemon }) =>
    word === DAEMON_WORD ? runDaemon(JSON.parse(args[0] ?? "")) : main(word, args),
  );
}
