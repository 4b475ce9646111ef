/** containerd's shim: what it starts to have a container run, to clean up after one, or to learn what the runtime is. */
import { writeSync } from "node:fs";
import { CaissonError } from "../../protocol/errors.ts";
import { endInWords } from "../process/last-words.ts";
import { SHIM_NAME } from "../process/roles.ts";
import { readStdin, SMALL_FILE } from "../text/bounded-read.ts";
import { formatError, isSystemError } from "../text/errors.ts";
import { parseFlags } from "./flags.ts";

const STDOUT = 1;
const STDERR = 2;

/** Does what the command line asks for and sets this process's exit code. */
export async function main(args: readonly string[]): Promise<void> {
  endInWords({ exitCode: 1 });
  try {
    writeSync(STDOUT, await run(args));
  } catch (error) {
    writeSync(STDERR, `${SHIM_NAME}: ${formatError(error)}\n`);
    process.exitCode = 1;
  }
}

async function run(args: readonly string[]): Promise<Uint8Array> {
  const flags = parseFlags(args);
  if (flags.version) {
    const { versionText } = await import("../cli/version.ts");
    return Buffer.from(`${SHIM_NAME}:\n${versionText()}\n`);
  }
  if (flags.info) {
    const { runtimeInfo } = await import("./info.ts");
    return runtimeInfo(await readInput());
  }
  if (flags.namespace === "" || flags.id === "") {
    throw new CaissonError("CAISSON_E_USAGE", "-namespace and -id are needed: this program is for containerd to start");
  }
  if (flags.action === "delete") {
    const { deleteContainer } = await import("./delete.ts");
    return await deleteContainer(flags);
  }
  if (flags.action === "start") {
    throw new CaissonError("CAISSON_E_USAGE", `start is done by the file ${SHIM_NAME} alone (native/shim-start)`);
  }
  throw new CaissonError("CAISSON_E_USAGE", `there is no action "${flags.action}"; there are start and delete`);
}

/** Nothing when standard input is closed, or a terminal. */
async function readInput(): Promise<Uint8Array> {
  try {
    return process.stdin.isTTY ? Buffer.alloc(0) : await readStdin(SMALL_FILE);
  } catch (error) {
    if (isSystemError(error)) return Buffer.alloc(0);
    throw error;
  }
}
