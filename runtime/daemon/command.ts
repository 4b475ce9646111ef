/** Commands that native/launch has the daemon carry out, so that no Node.js starts for them (docs/design/processes.md). */
import type { Socket } from "node:net";
import { CaissonError } from "../../protocol/errors.ts";
import type { Process } from "../../protocol/oci.ts";
import { execWords } from "../control/exec-words.ts";
import { plainCommand } from "../control/plain-command.ts";
import type { CommandOutcome, CommandParams } from "../control/protocol.ts";
import { quickWords } from "../control/quick-words.ts";
import type { ContainerHandlers } from "../control/server.ts";
import { requireAllowed } from "../guest/lifecycle.ts";
import { parseDocument } from "../oci/document.ts";
import { applyFlags, type ProcessFlags } from "../oci/exec-process.ts";
import { validateProcess } from "../oci/validate.ts";
import { signalNumber } from "../process/signal-number.ts";
import type { PodContainer } from "../sandbox/pod-container.ts";
import { commandOfBundle } from "../sandbox/spec/exec-process.ts";
import { dropProcessLabels } from "../sandbox/spec/host-labels.ts";
import { toWireError } from "../text/errors.ts";

/** Those that it has need of. */
export type Carriers = Pick<ContainerHandlers, "exec" | "kill" | "pause" | "resume" | "start">;

type Deed = () => Promise<CommandOutcome>;

/**
 * Carries out what a command line asks for, to the words and checks that the verb's own process has.
 * @throws whatever keeps it from that, with nothing done: the command line then finds out for itself. An error that comes later is a part
 *   of the outcome.
 */
export async function carryOut(
  container: PodContainer,
  verbs: Carriers,
  params: CommandParams,
  connection: Socket,
): Promise<CommandOutcome> {
  const deed = readCommand(container, verbs, params, connection);
  try {
    return await deed();
  } catch (error) {
    return { error: toWireError(error) };
  }
}

function readCommand(of: PodContainer, verbs: Carriers, params: CommandParams, connection: Socket): Deed {
  const { globals, verb, words } = plainCommand(params.args) ?? refuse("it is unusual");
  // These are written by whoever was called, into files of the caller's.
  if (globals.debug || globals.trace !== undefined) refuse("it is to tell more than its outcome");
  if (verb === "exec") return readExec(of, verbs, words, params, connection);
  const { id, signal = "SIGTERM", flagged } = quickWords(verb, words) ?? refuse("its words are unusual");
  const { container } = of;
  requireOwn(container.id, id);
  const allow = (action: "kill" | "pause" | "resume" | "start") =>
    requireAllowed(action, container.id, container.lifecycle);
  switch (verb) {
    case "kill": {
      const number = signalNumber(signal);
      return async () => {
        // Every process of a container that has none has been sent it.
        if (flagged && container.lifecycle === "stopped") return {};
        allow("kill");
        await verbs.kill({ signal: number, all: flagged }, connection);
        return {};
      };
    }
    case "pause":
    case "resume":
    case "start":
      return async () => {
        allow(verb);
        await verbs[verb]({}, connection);
        return {};
      };
    default:
      return refuse("the verb is not for it");
  }
}

function readExec(
  { container, bundle }: PodContainer,
  verbs: Carriers,
  words: readonly string[],
  { pid, process: text }: CommandParams,
  connection: Socket,
): Deed {
  const { id, args, flags } = execWords(words) ?? refuse("its words are unusual");
  requireOwn(container.id, id);
  const { newPrivs: _, preserveFds: __, env, user, cwd, process: file, pidFile, detach, ...others } = flags;
  if (Object.keys(others).length > 0 || bundle === undefined) refuse("it takes a terminal of the caller's");
  if ((file === undefined) !== (text === undefined)) refuse("what is to run was not read");
  const shape = { ...(env && { env }), ...(user !== undefined && { user }), ...(cwd !== undefined && { cwd }) };
  const process = text === undefined ? commandOfBundle(bundle, args, shape, refuse) : processOf(text, args, shape);
  if (process.terminal === true) refuse("it has a terminal");
  // Without a pid file nobody waits for the process's end.
  const detached = detach === true && pidFile === undefined;
  const stdio = { pid, stdin: 0, stdout: 1, stderr: 2 };
  return async (): Promise<CommandOutcome> => {
    const { execId } = await verbs.exec({ process, stdio, detached }, connection);
    if (detached) return {};
    return { execId };
  };
}

function processOf(text: string, args: readonly string[], flags: ProcessFlags): Process {
  // What was not UTF-8 has this in its place.
  if (args.length > 0 || text.includes("\ufffd")) refuse("what is to run is not plain");
  const own = validateProcess(
    dropProcessLabels(parseDocument(Buffer.from(text), "--process"), refuse),
    "--process",
    refuse,
  );
  return validateProcess(applyFlags(own, flags), "--process", refuse);
}

function requireOwn(id: string, named: string): void {
  if (named !== id) refuse(`it is for container ${named}`);
}

function refuse(why: string): never {
  throw new CaissonError("CAISSON_E_USAGE", `the daemon does not carry out this command: ${why}`);
}
