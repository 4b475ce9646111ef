import type { Socket } from "node:net";
import { CaissonError } from "../../protocol/errors.ts";
import { toWireError } from "../text/errors.ts";
import { readLines, writeLine } from "./ndjson.ts";
import type { Request, Verb, Verbs } from "./protocol.ts";

export type Handlers = {
  [V in Verb]: (params: Verbs[V]["params"], connection: Socket) => Promise<Verbs[V]["result"]>;
};

/** The verbs about one container that there is. */
export type ContainerHandlers = Omit<Handlers, "create" | "join" | "detach">;

/**
 * Answers the requests of one connection, each as soon as its handler is done. Ends with the connection.
 * @param handlers gives those of the moment; what has none is refused.
 */
export function serveControl(connection: Socket, handlers: () => Partial<Handlers>): void {
  connection.on("error", () => connection.destroy());
  readLines(connection, (value) => {
    const { id, verb, params } = value as Request;
    answer(handlers(), verb, params, connection).then(
      (result) => writeLine(connection, { id, result }),
      (error: unknown) => writeLine(connection, { id, error: toWireError(error) }),
    );
  });
}

async function answer<V extends Verb>(
  handlers: Partial<Handlers>,
  verb: V,
  params: Verbs[V]["params"],
  connection: Socket,
): Promise<unknown> {
  const handler = Object.hasOwn(handlers, verb) ? handlers[verb] : undefined;
  if (handler === undefined) {
    throw new CaissonError(
      "CAISSON_E_INTERNAL",
      `the daemon knows no verb "${String(verb)}": is it of another version?`,
    );
  }
  return await handler(params, connection);
}
