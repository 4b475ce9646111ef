import type { BinaryWriter } from "@bufbuild/protobuf/wire";
import { Empty } from "../../protocol/generated/containerd/types.ts";
import { countFailure } from "../metrics/totals.ts";
import { codeOf } from "../text/errors.ts";
import type { CallContext, Method } from "../ttrpc/server.ts";
import { StatusCode, StatusError } from "../ttrpc/status.ts";
import { toStatus } from "./status.ts";

interface Message<T> {
  encode(message: T): BinaryWriter;
  decode(input: Uint8Array): T;
}

/** A method of a service, from its messages' bytes to `handle` and back; what that throws becomes a status. */
export function method<Request, Response>(
  request: Message<Request>,
  response: Message<Response>,
  handle: (request: Request, context: CallContext) => Response | Promise<Response>,
): Method {
  return async (payload, context) => {
    try {
      return response.encode(await handle(decode(request, payload), context)).finish();
    } catch (error) {
      if (!(error instanceof StatusError)) countFailure(codeOf(error));
      throw toStatus(error);
    }
  };
}

/** A method without an answer. */
export function action<Request>(request: Message<Request>, handle: (request: Request) => void | Promise<void>): Method {
  return method(request, Empty, async (message) => {
    await handle(message);
    return {};
  });
}

function decode<T>(message: Message<T>, payload: Uint8Array): T {
  try {
    return message.decode(payload);
  } catch (cause) {
    throw new StatusError(StatusCode.invalidArgument, `the request cannot be read: ${(cause as Error).message}`, {
      cause,
    });
  }
}
