import type { Carry } from "../../native/vsock/index.ts";
import { CaissonError } from "../../protocol/errors.ts";
import type { Input, Output } from "../container/stdio.ts";

interface Port {
  readonly fd: number;
  /** What has it each way, or had it last. */
  output?: Carry;
  stdin?: Carry;
}

/** The guest's ends of the stream ports, and what has been moved to them. The host says when one is free again. */
export class StreamPorts {
  readonly #open: (number: number) => number;
  readonly #ports = new Map<number, Port>();

  /** @param open returns a port's descriptor, non-blocking. Throws CAISSON_E_NOT_FOUND. */
  constructor(open: (number: number) => number) {
    this.#open = open;
  }

  /** @returns false when there is nothing to be moved. @throws CAISSON_E_NOT_FOUND for the port; the system's error. */
  moveOutput(number: number, output: Output): boolean {
    const port = this.#port(number);
    const carry = output.move(port.fd);
    if (carry === undefined) return false;
    port.output?.stop();
    port.output = carry;
    return true;
  }

  /** Waits for the end of the output that was moved there, or stops it; returns how much of it is in the port. */
  async awaitOutput(number: number, stop: boolean): Promise<number> {
    const { output } = this.#port(number);
    if (output === undefined) throw unused(number);
    if (stop) output.finish();
    return (await output.over).bytes;
  }

  /** Throws as moveOutput(). */
  moveStdin(number: number, input: Input): Carry {
    const port = this.#port(number);
    port.stdin?.stop();
    port.stdin = input.move(port.fd);
    return port.stdin;
  }

  /** Resolves when all that the host has written for the stdin that was moved there has been taken out of it. */
  async drainStdin(number: number, bytes: number): Promise<void> {
    const { stdin } = this.#port(number);
    if (stdin === undefined) throw unused(number);
    stdin.limit(bytes);
    await stdin.over;
  }

  #port(number: number): Port {
    const known = this.#ports.get(number);
    if (known !== undefined) return known;
    const port = { fd: this.#open(number) };
    this.#ports.set(number, port);
    return port;
  }
}

function unused(number: number): CaissonError {
  return new CaissonError("CAISSON_E_STATE", `nothing has been moved to the stream port ${number}`);
}
