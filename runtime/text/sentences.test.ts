import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

const TOP = join(import.meta.dirname, "../..");
/** The first text of an error as the source has it, with what stands before it. */
const MESSAGE =
  /\b(?:CaissonError|Error|invalid|unsupported)\(\s*(?:"[A-Z_]+",\s*|status\.\w+,\s*|field,\s*|"[\w.[\]]+",\s*)?(["`])((?:(?!\1)[^\\]|\\.)*)\1/g;
/** In the words of runc, which engines may look for. */
const RUNC = /^File .* exists\. Remove it first$/;

test("an error's sentence begins with a small letter and ends without a full stop, so that others can go on from it", () => {
  const sources = globSync("{protocol,native,runtime,agent,guest-image}/**/*.ts", { cwd: TOP }).filter(
    (path) => !path.endsWith(".test.ts") && !path.includes("generated"),
  );
  assert.ok(sources.length > 300);
  for (const path of sources) {
    for (const [, , text = ""] of readFileSync(join(TOP, path), "utf8").matchAll(MESSAGE)) {
      if (RUNC.test(text)) continue;
      assert.doesNotMatch(text, /^[A-Z][a-z]|[^.]\.$/, `${path}: ${text}`);
    }
  }
});
