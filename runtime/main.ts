/**
 * The one program: `node caisson.cjs <name it was called by> arguments...` (scripts/launcher.sh), or the word of a daemon.
 * It only chooses which bundle to load, so that no verb pays for the daemon's code; V8's compiled form of both is kept
 * beside them (scripts/bundle.ts makes it).
 */
import { existsSync } from "node:fs";
import { enableCompileCache } from "node:module";
import { join } from "node:path";
import { DAEMON_WORD } from "./control/daemon-word.ts";

const compiled = join(import.meta.dirname, "compile-cache");
if (existsSync(compiled)) enableCompileCache({ directory: compiled, portable: true });

const [word = "", ...args] = process.argv.slice(2);
if (word === DAEMON_WORD) {
  import("./control/daemon.ts").then(({ runDaemon }) => runDaemon(JSON.parse(args[0] ?? "")));
} else {
  import("./cli/main.ts").then(({ main }) => main(word, args));
}
