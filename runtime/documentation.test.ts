import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { ERROR_CODES } from "../protocol/errors.ts";
import { DEFAULTS, KEYS } from "./config/settings.ts";

const read = (name: string) => readFileSync(join(import.meta.dirname, "..", "docs", name), "utf8");

test("docs/errors.md has every error code once, in their order, each with an example and a remedy", () => {
  const sections = read("errors.md").split(/^## /m).slice(1);
  assert.deepEqual(
    sections.map((section) => section.split("\n")[0]),
    [...ERROR_CODES],
  );
  for (const section of sections) {
    assert.match(section, /^- Example: `.+`$/m);
    assert.match(section, /^- Remedy: .+$/m);
  }
});

test("docs/operating.md says of every error code what an operator does", () => {
  const rows = [...read("operating.md").matchAll(/^\| (CAISSON_E_\w+) \| .{10,} \|$/gm)];
  assert.deepEqual(
    rows.map(([, code]) => code),
    [...ERROR_CODES],
  );
});

test("docs/configuration.md has every key with its choices, range, default and whether it is an annotation", () => {
  const rows = [...read("configuration.md").matchAll(/^\| `(\w+)` \| (.*?) \| (.*?) \| (yes|no) \|/gm)];
  assert.deepEqual(rows.map(([, key]) => key).sort(), [...KEYS.keys()].sort());
  for (const [, name = "", values = "", byDefault = "", annotation] of rows) {
    const key = KEYS.get(name);
    assert.ok(key);
    assert.equal(annotation === "yes", DEFAULTS.enabledAnnotations.includes(name), name);
    if (key.kind === "choice") {
      assert.deepEqual(values.replaceAll("`", "").split(", "), [...key.values], name);
      assert.equal(byDefault, `\`${String(DEFAULTS[key.name])}\``, name);
    }
    if (key.kind === "integer") {
      assert.equal(values, `${key.minimum} to ${key.maximum}`, name);
      assert.equal(byDefault, String(DEFAULTS[key.name] ?? "derived"), name);
    }
  }
});
