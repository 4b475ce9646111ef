import { addon } from "./addon.ts";
import { watch } from "./poller.ts";
import { READ_LENGTH } from "./slab.ts";

const { EPOLLHUP } = addon.constants;

/**
 * Waits until `done` says yes to the EPOLL* bits of a descriptor that no one else here is watching.
 * @throws the signal's reason when it is aborted, and what `done` throws.
 */
export function waitForEvents(fd: number, signal: AbortSignal | undefined, done: (events: number) => boolean) {
  return new Promise<void>((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason);
      return;
    }
    const stop = () => {
      watched.stop();
      signal?.removeEventListener("abort", onAbort);
    };
    const onAbort = () => {
      stop();
      reject(signal?.reason);
    };
    const watched = watch(fd, (events) => {
      try {
        if (!done(events)) return;
        stop();
        resolve();
      } catch (error) {
        stop();
        reject(error);
      }
    });
    signal?.addEventListener("abort", onAbort);
  });
}

/**
 * Resolves when the host side of a virtio-serial port has disconnected, at once if it has, and throws away what it sent
 * until then: the kernel keeps unread bytes, and the next connection would begin with the end of the last one.
 * @throws the signal's reason when it is aborted.
 */
export function discardUntilHungUp(fd: number, signal?: AbortSignal): Promise<void> {
  const scratch = Buffer.allocUnsafe(READ_LENGTH);
  return waitForEvents(fd, signal, (events) => {
    let count: number;
    do count = addon.read(fd, scratch, 0, scratch.length);
    while (count > 0);
    return (events & EPOLLHUP) !== 0;
  });
}
