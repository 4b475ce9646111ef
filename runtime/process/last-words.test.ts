import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";

const SETUP = `
  const { endInWords } = await import(${JSON.stringify(join(import.meta.dirname, "last-words.ts"))});
  endInWords({ exitCode: 1 });
  endInWords({ exitCode: 42, tell: () => console.log("told") });
`;

function end(script: string): { status: number | null; stdout: string; stderr: string } {
  const words = ["--input-type=module", "--eval", `${SETUP}${script}`];
  return spawnSync(process.execPath, words, { encoding: "utf8" });
}

for (const [what, script] of [
  ["an exception", "setTimeout(() => { throw new Error('gone\\nwrong'); });"],
  ["a rejection", "Promise.reject(new Error('gone\\nwrong')); setTimeout(() => {}, 5000);"],
] as const) {
  test(`endInWords tells ${what} that nothing handles in one line with its code, and ends the process`, () => {
    const { status, stdout, stderr } = end(script);
    assert.equal(status, 42);
    assert.equal(stdout, "told\n");
    assert.match(
      stderr,
      /^time=\S+ level=error msg="this process cannot go on: gone wrong" code=CAISSON_E_INTERNAL\n$/,
    );
  });
}

test("endInWords gives what the host has run out of the code of the host", () => {
  const { stderr } = end("throw Object.assign(new Error('x'), { code: 'EMFILE', errno: -24, syscall: 'open' });");
  assert.match(stderr, /open: too many open files \(EMFILE\)" code=CAISSON_E_HOST\n$/);
});
