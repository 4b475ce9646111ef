import { closeSync } from "node:fs";
import { socketpair } from "../../native/posix/index.ts";

/** The number by which a child knows the first descriptor that it inherits beside its standard streams. */
export const FIRST_INHERITED = 3;

/** The descriptors a child inherits: each is added under the number that the child will know it by. */
export class InheritedFds {
  readonly #descriptors: number[] = [];
  readonly #owned: number[] = [];

  /** Passes a descriptor that stays the caller's; returns the child's number of it. */
  lend(fd: number): number {
    this.#descriptors.push(fd);
    return FIRST_INHERITED + this.#descriptors.length - 1;
  }

  /** Passes a descriptor that is closed here once the child has it. */
  give(fd: number): number {
    this.#owned.push(fd);
    return this.lend(fd);
  }

  /** A stream socket between the child and us: its number there, and our end, which the caller closes. */
  connect(): { child: number; ours: number } {
    const [ours, theirs] = socketpair();
    return { child: this.give(theirs), ours };
  }

  get descriptors(): readonly number[] {
    return this.#descriptors;
  }

  closeGiven(): void {
    for (const fd of this.#owned.splice(0)) closeSync(fd);
  }
}
