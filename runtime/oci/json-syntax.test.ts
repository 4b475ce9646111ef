import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { findSyntaxProblem } from "./json-syntax.ts";

function parses(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

test("findSyntaxProblem finds nothing in well-formed JSON", () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.constantFrom(undefined, 2, "\t"), (value, indent) => {
      assert.equal(findSyntaxProblem(JSON.stringify(value, null, indent)), undefined);
    }),
  );
});

test("findSyntaxProblem agrees with JSON.parse about damaged JSON", () => {
  const damage = fc.constantFrom("", ",", "}", "]", '"', "\\", "x", "-", ":", "\n", "\u0001", "01", "{", "[");
  fc.assert(
    fc.property(fc.jsonValue(), fc.nat(), fc.nat(3), damage, (value, at, removed, inserted) => {
      const text = JSON.stringify(value);
      const start = at % (text.length + 1);
      const damaged = text.slice(0, start) + inserted + text.slice(start + removed);
      assert.equal(findSyntaxProblem(damaged) === undefined, parses(damaged), damaged);
    }),
    { numRuns: 2000 },
  );
});

test("findSyntaxProblem counts lines and columns from 1", () => {
  assert.deepEqual(findSyntaxProblem('{\n "a": tru\n}'), {
    line: 2,
    column: 7,
    message: 'expected a value, found "tru"',
  });
  assert.deepEqual(findSyntaxProblem('{"a": 1'), {
    line: 1,
    column: 8,
    message: 'expected "," or "}", found the end of the file',
  });
  assert.deepEqual(findSyntaxProblem('{"a": 1,}'), {
    line: 1,
    column: 9,
    message: 'expected a property name in quotes, found "}"',
  });
});

test("findSyntaxProblem does not run out of stack on deep nesting", () => {
  assert.equal(findSyntaxProblem("[".repeat(200_000))?.column, 200_001);
});
