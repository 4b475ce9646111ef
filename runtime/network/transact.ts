import { constants } from "node:os";
import type { NetlinkSocket, Refusal } from "../../native/posix/netlink.ts";
import { CaissonError } from "../../protocol/errors.ts";
import { systemErrorSentence } from "../text/errors.ts";
import { encodeBatch, type Request } from "./message.ts";

/**
 * Has the kernel carry out all requests.
 * @throws CAISSON_E_NETWORK for the first that it refuses.
 */
export function transact(socket: NetlinkSocket, requests: readonly Request[]): void {
  const [first] = socket.transact(encodeBatch(requests));
  if (first !== undefined) throw refused(requests[first.index]?.doing ?? "change the network", first);
}

export const ASK_CHECK = "See `caisson check` for what the network of a VM needs of the host.";

function refused(doing: string, { errno, message }: Pick<Refusal, "errno" | "message">): CaissonError {
  const cause = Object.assign(new Error(message), { code: errnoName(errno), errno, syscall: "netlink" });
  const words = message === "" ? "" : `: ${message}`;
  return new CaissonError("CAISSON_E_NETWORK", `${systemErrorSentence(doing, cause)}${words}`, {
    remedy: ASK_CHECK,
  });
}

function errnoName(errno: number): string {
  return ERRNO_NAMES.get(errno) ?? `errno ${errno}`;
}

const ERRNO_NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(constants.errno).map(([name, value]) => [value, name]),
);
