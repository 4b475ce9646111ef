import type { Command } from "commander";
import { CaissonError } from "../../protocol/errors.ts";
import { listStates } from "../state/store.ts";
import { formatError } from "../text/errors.ts";
import { log } from "../text/log.ts";
import { deleteContainer } from "./actions/delete.ts";
import { type Globals, verb } from "./command.ts";

export function command(globals: Globals): Command {
  return verb("delete", "Removes a container and all it holds.")
    .argument("<container-id>")
    .option("-f, --force", "end it first if it runs (SIGKILL); do nothing if it does not exist")
    .option("-r, --regex", "the id is a regular expression: all containers that it matches")
    .action((id: string, { force = false, regex = false }: { force?: boolean; regex?: boolean }) =>
      regex ? deleteMatching(globals, id, force) : deleteContainer(globals, id, force),
    );
}

/** Goes on after a failure, and throws the last one. */
async function deleteMatching(globals: Globals, text: string, force: boolean): Promise<void> {
  const wanted = pattern(text);
  const ids = listStates(globals.root, (reason) => log.warning(reason)).map(({ id }) => id);
  let failure: { error: unknown } | undefined;
  for (const id of ids.filter((each) => wanted.test(each))) {
    try {
      await deleteContainer(globals, id, force);
    } catch (error) {
      if (failure !== undefined) log.error(formatError(failure.error));
      failure = { error };
    }
  }
  if (failure !== undefined) throw failure.error;
}

function pattern(text: string): RegExp {
  try {
    return new RegExp(text);
  } catch (cause) {
    throw new CaissonError("CAISSON_E_USAGE", `--regex: ${JSON.stringify(text)} is not a regular expression`, {
      cause,
    });
  }
}
