import assert from "node:assert/strict";
import { test } from "node:test";
import { signalNumber } from "./signal-number.ts";

const known: Record<string, number> = {
  TERM: 15,
  SIGTERM: 15,
  sigterm: 15,
  kill: 9,
  "9": 9,
  "09": 9,
  "0": 0,
  "64": 64,
  WINCH: 28,
  CHLD: 17,
  RTMIN: 34,
  "SIGRTMIN+3": 37,
  "rtmin+0": 34,
  RTMAX: 64,
  "SIGRTMAX-14": 50,
};

for (const [text, number] of Object.entries(known)) {
  test(`signalNumber reads ${text} as ${number}`, () => assert.equal(signalNumber(text), number));
}

for (const text of [
  "",
  "FOO",
  "SIG",
  "SIGSIGTERM",
  "-9",
  "65",
  "99",
  "1e1",
  "TERM ",
  "RTMIN-1",
  "RTMAX+1",
  "RTMIN+31",
  "RTMIN+",
  "constructor",
]) {
  test(`signalNumber refuses "${text}" and names it`, () => {
    assert.throws(() => signalNumber(text), { code: "CAISSON_E_USAGE", message: `unknown signal "${text}"` });
  });
}
