import { closeSync, rmSync } from "node:fs";
import { connectUnix, listenUnix } from "../../native/posix/index.ts";
import { CaissonError } from "../../protocol/errors.ts";
import { socketAddress } from "../state/socket-address.ts";
import { systemErrorSentence } from "../text/errors.ts";

/**
 * A socket that listens with one connection to it made already, which is all that it will ever have: nothing is at its path
 * any more. Both are the caller's.
 * @throws CaissonError CAISSON_E_STORAGE when there is no room for it, say.
 */
export function pendingConnection(path: string): { listener: number; connection: number } {
  try {
    return make(path);
  } catch (cause) {
    throw new CaissonError("CAISSON_E_STORAGE", systemErrorSentence(`make the socket ${path}`, cause), { cause });
  }
}

function make(path: string): { listener: number; connection: number } {
  using address = socketAddress(path);
  rmSync(path, { force: true });
  const listener = listenUnix(address.path);
  try {
    return { listener, connection: connectUnix(address.path) };
  } catch (error) {
    closeSync(listener);
    throw error;
  } finally {
    rmSync(path, { force: true });
  }
}
