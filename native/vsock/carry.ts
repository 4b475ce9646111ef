import { addon } from "./addon.ts";
import { register, type Watch } from "./poller.ts";

const { CARRY_OVER, CARRY_BROKEN } = addon.constants;

export interface CarryOptions {
  /** Of any kind that can be polled; they are made non-blocking. They stay the caller's, and may be closed once it is over. */
  from: number;
  to: number;
  /** When `to` takes no more, the rest is thrown away up to the limit, in place of an end. */
  drains?: boolean;
}

export interface Carried {
  /** How many have been moved. */
  bytes: number;
  /** By finish() or stop(), and not since `from` has come to its end. */
  isStopped: boolean;
}

/**
 * Moves bytes from one descriptor to another without a line of JavaScript, until the end of `from`, the limit, or stop().
 */
export class Carry {
  /** Resolves when it is over, never rejects. */
  readonly over: Promise<Carried>;
  /** Resolves when `to` takes no more, or it is over. */
  readonly broken: Promise<void>;
  readonly #id: number;
  readonly #watch: Watch;
  readonly #settle: (carried: Carried) => void;
  readonly #break: () => void;
  #ended = false;
  #isStopped = false;

  /** @throws EPERM for a descriptor that cannot be polled, EMFILE. */
  constructor({ from, to, drains = false }: CarryOptions) {
    for (const fd of [from, to]) addon.open(fd);
    const over = Promise.withResolvers<Carried>();
    const broken = Promise.withResolvers<void>();
    this.over = over.promise;
    this.broken = broken.promise;
    this.#settle = over.resolve;
    this.#break = broken.resolve;
    let given = 0;
    this.#watch = register(
      (events) => this.#onEvents(events),
      (id) => {
        addon.carryStart(from, to, id, drains);
        given = id;
      },
      (id) => this.#end(addon.carryStop(id)),
    );
    this.#id = given;
  }

  /** It is over once it has taken so many bytes. @throws EINVAL when it has taken more. */
  limit(bytes: number): void {
    if (!this.#ended) this.#onEvents(addon.carryLimit(this.#id, bytes));
  }

  /** Goes on as if `to` took no more, which may be closed from now on. May be called again. */
  letGo(): void {
    if (!this.#ended) this.#onEvents(addon.carryLetGo(this.#id));
  }

  /** Takes no more; it is over once it has passed on what it has. May be called again. */
  finish(): void {
    if (this.#ended) return;
    this.#isStopped = true;
    this.#onEvents(addon.carryLimit(this.#id, -1));
  }

  /** Ends it at once, and drops what it has taken and not passed on. May be called again. */
  stop(): void {
    if (this.#ended) return;
    this.#isStopped = true;
    this.#watch.stop();
  }

  #onEvents(events: number): void {
    if ((events & CARRY_BROKEN) !== 0) this.#break();
    if ((events & CARRY_OVER) !== 0) this.#watch.stop();
  }

  #end(bytes: number): void {
    this.#ended = true;
    this.#break();
    this.#settle({ bytes, isStopped: this.#isStopped });
  }
}
