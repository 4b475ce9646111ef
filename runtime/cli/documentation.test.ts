/** The manual pages and the shell completion know exactly the verbs and flags that there are. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { Command } from "commander";
import type { Globals } from "./command.ts";
import { programCommand, VERBS } from "./program.ts";

const TOP = join(import.meta.dirname, "../..");
const globals: Globals = { root: "/r", config: undefined, logFormat: "text", debug: false, systemdCgroup: false };
const completion = readFileSync(join(TOP, "deploy/completion/caisson.bash"), "utf8");

function manual(name: string): string {
  return readFileSync(join(TOP, `docs/man/${name}.8.md`), "utf8");
}

function flags(command: Command): string[] {
  return [command, ...command.commands].flatMap(({ options }) => options.map(({ long }) => String(long)));
}

/** What the completion offers after a verb. */
function offered(verb: string): string[] {
  const branch = new RegExp(`(?:^ {4}|\\| )${verb}(?: \\|[^)]*)?\\) echo "([^"]*)"`, "m").exec(completion);
  assert.ok(branch, `the completion knows ${verb}`);
  return (branch[1] ?? "").split(/\s+/).filter((word) => word.startsWith("--"));
}

for (const [verb, { load }] of Object.entries(VERBS)) {
  test(`the manual and the completion of ${verb} name each of its flags`, async () => {
    const command = (await load()).command(globals);
    const text = manual(`caisson-${verb}`);
    const known = flags(command);
    assert.deepEqual(offered(verb).sort(), [...known, "--help"].sort());
    const documented = [...text.matchAll(/^\*\*.*\n:/gm)].flatMap(([line]) => line.match(/--[a-z0-9-]+/g) ?? []);
    assert.deepEqual(documented.sort(), [...new Set([...known, "--help"])].sort());
  });
}

test("the manual and the completion of caisson name its flags and verbs", () => {
  const text = manual("caisson");
  const known = [...flags(programCommand()), "--help"];
  for (const flag of known) assert.match(text, new RegExp(`^\\*\\*${flag}\\*\\*`, "m"));
  for (const word of [...known, ...Object.keys(VERBS)]) assert.match(completion, new RegExp(`[\\s"]${word}[\\s"]`));
});

test("there is a manual page for nothing but caisson and its verbs", () => {
  const pages = readdirSync(join(TOP, "docs/man")).filter((name) => name.endsWith(".md"));
  const wanted = ["caisson", ...Object.keys(VERBS).map((verb) => `caisson-${verb}`)].map((name) => `${name}.8.md`);
  assert.deepEqual(pages.sort(), wanted.sort());
});
