import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { compiledForm, MAIN } from "./compiled.ts";

const folder = mkdtempSync(join(tmpdir(), "caisson-compiled-"));
after(() => rmSync(folder, { recursive: true }));
const path = join(folder, MAIN);
writeFileSync(
  path,
  `${Array.from({ length: 300 }, (_, index) => `function f${index}(a) { return { x${index}: a }; }`).join("\n")}
   exports.value = JSON.stringify(f7(2)); exports.folder = __dirname; require("node:fs").writeSync(1, exports.value);`,
);

function node(...words: readonly string[]): string {
  const child = spawnSync(process.execPath, words, { encoding: "utf8" });
  assert.equal(child.status, 0, child.stderr);
  return child.stdout;
}

function compile(): Buffer {
  node("--hash-seed=1", join(import.meta.dirname, "../scripts/compile-agent.ts"), folder);
  return readFileSync(compiledForm(path));
}

test("the agent's compiled form is the same bytes each time", () => {
  assert.deepEqual(compile(), compile());
});

test("the agent's compiled form is taken by V8 in a process that has set the agent's flags", () => {
  compile();
  const source = `
    import { readFileSync } from "node:fs";
    import { setFlagsFromString } from "node:v8";
    import { agentScript, V8_FLAGS } from "${import.meta.dirname}/compiled.ts";
    for (const flag of V8_FLAGS) setFlagsFromString(flag);
    const script = agentScript(readFileSync("${path}", "latin1"), "${path}", readFileSync("${compiledForm(path)}"));
    console.log(script.cachedDataRejected);`;
  assert.equal(node("--input-type=module", "--eval", source).trim(), "false");
});
