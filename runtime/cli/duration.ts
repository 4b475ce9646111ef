import { CaissonError } from "../../protocol/errors.ts";

const UNITS_MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
const PART = /(\d+(?:\.\d+)?|\.\d+)(ms|s|m|h)/g;

/** The longest wait of a Node timer. */
const MAX_MS = 2 ** 31 - 1;

/**
 * Milliseconds of a duration as runc writes them: `5s`, `1m30s`, `1.5h`, `250ms`.
 * @throws CaissonError CAISSON_E_USAGE when it is not one, not above zero, or longer than 24 days.
 */
export function durationMs(text: string): number {
  let ms = 0;
  const rest = text.replace(PART, (_match, number: string, unit: keyof typeof UNITS_MS) => {
    ms += Number(number) * UNITS_MS[unit];
    return "";
  });
  if (text === "" || rest !== "" || ms <= 0 || ms > MAX_MS) {
    throw new CaissonError("CAISSON_E_USAGE", `"${text}" is no duration above zero and below 24 days`, {
      remedy: "Write it like 500ms, 5s or 1m30s.",
    });
  }
  return ms;
}
