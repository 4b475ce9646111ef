/** docs/spec-conformance.md says something about every property, names tests that exist, and quotes errors that are told. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { CARRIED_OUT } from "../../agent/plan/unsupported.ts";
import { MOUNT_OPTIONS } from "../../runtime/oci/checks/mount-options.ts";
import { sections } from "../../runtime/oci/schema/config.ts";
import type { Schema } from "../../runtime/oci/schema/parts.ts";
import { UNSUPPORTED } from "../../runtime/oci/unsupported.ts";
import { DIFFERENCES } from "./differences.ts";

const TOP = join(import.meta.dirname, "../..");
const PAGE = readFileSync(join(TOP, "docs/spec-conformance.md"), "utf8");
const VERDICTS = ["works", "refused", "no meaning in a VM"];

interface Row {
  name: string;
  verdict: string;
  shown: string;
  note: string;
}

function rowsBelow(heading: string): Row[] {
  const [, section = ""] = PAGE.split(`\n## ${heading}\n`);
  const [table = ""] = section.split("\n## ");
  return table
    .split("\n")
    .filter((line) => line.startsWith("| ") && !line.startsWith("|---"))
    .slice(1)
    .map((line) => {
      const [, name = "", verdict = "", shown = "", note = ""] = line.split("|").map((cell) => cell.trim());
      return { name, verdict, shown, note };
    });
}

/** `process.user.uid`, `mounts[].options`, `linux.resources.rdma{}.hcaHandles`. */
function* properties(schema: Schema, field: string): Iterable<string> {
  const { $ref, items, properties: known, additionalProperties } = schema as Record<string, Schema | undefined>;
  if (typeof $ref === "string") yield* properties(sections[$ref] ?? {}, field);
  if (items !== undefined) yield* properties(items, `${field}[]`);
  if (additionalProperties !== undefined) yield* properties(additionalProperties, `${field}{}`);
  for (const [name, property] of Object.entries(known ?? {})) {
    const inner = field === "" ? name : `${field}.${name}`;
    yield inner;
    yield* properties(property as Schema, inner);
  }
}

const names = (rows: readonly Row[]) => rows.map(({ name }) => name.replaceAll("`", ""));
const CONFIG = rowsBelow("config.md, config-linux.md, config-vm.md");
const OPTIONS = rowsBelow("Mount options");
const RULES = [...rowsBelow("runtime.md"), ...rowsBelow("features.md")];

test("every property of the schema has one row, and no row is about anything else", () => {
  assert.deepEqual(names(CONFIG).sort(), [...properties(sections["config"] ?? {}, "")].sort());
});

test("every mount option has one row, and no row is about anything else", () => {
  assert.deepEqual(names(OPTIONS).sort(), [...MOUNT_OPTIONS].sort());
});

test("rows have a verdict, and what shows it", () => {
  assert.ok(RULES.length > 20);
  for (const { name, verdict, shown, note } of [...CONFIG, ...OPTIONS, ...RULES]) {
    assert.ok(VERDICTS.includes(verdict), `${name}: ${verdict}`);
    if (verdict === "works") assert.ok(existsSync(join(TOP, shown)) && shown.endsWith(".test.ts"), `${name}: ${shown}`);
    if (verdict === "no meaning in a VM") assert.notEqual(note, "", `${name} needs the reason`);
  }
});

/** The field whose refusal takes this one along. */
const refusalOf = (name: string) =>
  UNSUPPORTED.find(
    ({ field }) => name === field || (name.startsWith(field) && /^[.[{]/.test(name.slice(field.length))),
  );

test("quoted errors are the reasons of the fields that are not carried out, or those of the checks", () => {
  const folder = join(TOP, "runtime/oci/checks");
  const checks = readdirSync(folder).map((name) => readFileSync(join(folder, name), "utf8"));
  for (const { name, verdict, shown } of [...CONFIG, ...OPTIONS]) {
    if (verdict !== "refused") continue;
    const quoted = /^"(.+)"$/.exec(shown)?.[1] ?? "";
    const reasons = refusalOf(name.replaceAll("`", ""))?.reason ?? checks.join();
    assert.ok(quoted !== "" && reasons.includes(quoted), `${name}: ${shown}`);
  }
});

test("what is not carried out is refused in the table, or has a note that says when", () => {
  for (const { field } of UNSUPPORTED) {
    const name = `\`${field.replace(/\[[a-z]+\]/, "[]")}\``;
    const row = CONFIG.find((each) => each.name === name) ?? assert.fail(field);
    if (row.verdict === "works") assert.notEqual(row.note, "", field);
  }
});

test("the agent carries out what the table says, but for what the host does", () => {
  const HOSTS = ["mounts[].uidMappings", "mounts[].gidMappings"];
  for (const [parent, known] of Object.entries(CARRIED_OUT)) {
    const works = CONFIG.filter(({ verdict }) => verdict === "works")
      .map(({ name }) => name.replaceAll("`", ""))
      .filter((name) => name.startsWith(parent) && /^\w+$/.test(name.slice(parent.length)));
    const expected = known.map((name) => `${parent}${name}`);
    assert.deepEqual(works.filter((name) => !HOSTS.includes(name)).sort(), expected.sort());
  }
});

test("every accepted difference is one of a case that there is", () => {
  const cases = ["process", "container", "mounts"].map((name) =>
    readFileSync(join(import.meta.dirname, `${name}.test.ts`), "utf8"),
  );
  for (const difference of Object.keys(DIFFERENCES)) {
    const name = difference.replace(/^(exec|run): /, "");
    assert.ok(
      cases.some((text) => text.includes(`  ${name}: `) || text.includes(`  "${name}": `)),
      difference,
    );
  }
});
