/** What has started this process for containerd, waits for its answer, and tells containerd (native/shim-start). */
import { closeSync, writeSync } from "node:fs";
import { STARTER_FD } from "../process/spawn-self.ts";

/** The first byte of an answer: what the rest of it is, or that somebody else is to do what the words ask for. */
const KINDS = { address: "a", error: "e", notMine: "n" } as const;

let isAnswered = false;

/** Answers, and lets the starter end. Only the first answer counts; a starter that has gone gets none. */
export function answerStarter(kind: keyof typeof KINDS, text = ""): void {
  if (isAnswered) return;
  isAnswered = true;
  try {
    writeSync(STARTER_FD, `${KINDS[kind]}${text}`);
  } catch {
    // It was killed: containerd asks again, and finds this process.
  } finally {
    closeSync(STARTER_FD);
  }
}
