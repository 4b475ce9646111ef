/** A socket's address has room for 107 bytes of path (unix(7)); a state directory's path may be longer. */
import { closeSync, constants, openSync } from "node:fs";
import { basename, dirname } from "node:path";

export interface SocketAddress extends Disposable {
  /** Names the same file as the path did, for this process, until it is disposed of. */
  path: string;
}

/**
 * A short path for the socket at `path`, to listen on or to connect to. A listener must keep it until it has closed:
 * libuv unlinks the path it was given. Throws Node's system error when the directory cannot be opened.
 */
export function socketAddress(path: string): SocketAddress {
  const fd = openSync(dirname(path), constants.O_RDONLY | constants.O_DIRECTORY);
  let open = true;
  return {
    path: `/proc/self/fd/${fd}/${basename(path)}`,
    [Symbol.dispose]() {
      if (open) closeSync(fd);
      open = false;
    },
  };
}
