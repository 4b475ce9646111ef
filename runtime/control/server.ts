import type { Socket } from "node:net";
import { CaissonError } from "../../protocol/errors.ts";
import { toWireError } from "../text/errors.ts";
import type { ControlClient } from "./client.ts";
import { readLines, writeLine } from "./ndjson.ts";
import type { Request, Verb, Verbs } from "./protocol.ts";

type Answer<Result> = Promise<Result extends undefined ? void : Result>;

export type Handlers = {
  [V in Verb]: (params: Verbs[V]["params"], connection: Socket) => Answer<Verbs[V]["result"]>;
};

/** The verbs about one container that there is. */
export type ContainerHandlers = Omit<Handlers, "create" | "launch" | "join" | "detach">;

/**
 * Answers the requests of one connection, each as soon as its handler is done. Ends with the connection.
 * @param handlers gives those of the moment.
 * @param elsewhere gives the daemon that does what has no handler; without one that is refused.
 */
export function serveControl(
  connection: Socket,
  handlers: () => Partial<Handlers>,
  elsewhere: () => ControlClient | undefined = () => undefined,
): void {
  connection.on("error", () => connection.destroy());
  readLines(connection, (value) => {
    const { id, verb, params } = value as Request;
    answer(verb, params, connection, handlers(), elsewhere()).then(
      (result) => writeLine(connection, { id, result: result ?? {} }),
      (error: unknown) => writeLine(connection, { id, error: toWireError(error) }),
    );
  });
}

/** Resolves when the connection has ended. */
export function endOf(connection: Socket): Promise<void> {
  return new Promise((resolve) => {
    if (connection.destroyed) resolve();
    else connection.once("close", () => resolve());
  });
}

async function answer<V extends Verb>(
  verb: V,
  params: Verbs[V]["params"],
  connection: Socket,
  handlers: Partial<Handlers>,
  elsewhere: ControlClient | undefined,
): Promise<unknown> {
  const handler = Object.hasOwn(handlers, verb) ? handlers[verb] : undefined;
  if (handler !== undefined) return await handler(params, connection);
  if (elsewhere !== undefined) return await elsewhere.request(verb, params);
  throw new CaissonError("CAISSON_E_INTERNAL", `the daemon knows no verb "${String(verb)}": is it of another version?`);
}
