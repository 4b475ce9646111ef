import { constants } from "node:os";
import { CaissonError } from "../../protocol/errors.ts";

/** Real-time signals as the C library of Linux numbers them: the kernel's 32 and 33 are its own (signal(7)). */
const SIGRTMIN = 34;
const SIGRTMAX = 64;

const REALTIME = /^RT(MIN|MAX)(?:([+-])(\d+))?$/;
const NUMBER = /^\d{1,2}$/;

/**
 * The number of a signal given as `15`, `TERM`, `SIGTERM` (any case) or `SIGRTMIN+3`; 0 to 64, where 0 only asks whether
 * the process is there (kill(2)).
 * @throws CaissonError CAISSON_E_USAGE when there is no such signal.
 */
export function signalNumber(text: string): number {
  const name = text.toUpperCase().replace(/^SIG/, "");
  const number = NUMBER.test(text) ? Number(text) : (named(name) ?? realtime(name));
  if (number === undefined || number > SIGRTMAX) {
    throw new CaissonError("CAISSON_E_USAGE", `unknown signal "${text}"`, {
      remedy: `Give a number from 0 to ${SIGRTMAX} or a name of signal(7) such as TERM, SIGKILL or SIGRTMIN+1.`,
    });
  }
  return number;
}

/** "SIGTERM", or "signal 34" for a number that has no name. */
export function signalName(number: number): string {
  return Object.entries(constants.signals).find(([, each]) => each === number)?.[0] ?? `signal ${number}`;
}

function named(name: string): number | undefined {
  const signals: Record<string, number> = constants.signals;
  return Object.hasOwn(signals, `SIG${name}`) ? signals[`SIG${name}`] : undefined;
}

function realtime(name: string): number | undefined {
  const match = REALTIME.exec(name);
  if (match === null) return undefined;
  const [, end, sign, offset] = match;
  const number = (end === "MIN" ? SIGRTMIN : SIGRTMAX) + Number(`${sign ?? ""}${offset ?? 0}`);
  return number >= SIGRTMIN && number <= SIGRTMAX ? number : undefined;
}
