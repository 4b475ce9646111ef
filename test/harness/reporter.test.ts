import assert from "node:assert/strict";
import { test } from "node:test";
import { withSkipped } from "./reporter.ts";

test("withSkipped() tells of each test that was skipped, and why, before the summary", async () => {
  const events = [
    { type: "test:pass", data: { name: "one", file: "/a/b/functional/x.test.ts", skip: "nothing is installed" } },
    { type: "test:pass", data: { name: "two", file: "/a/b/functional/x.test.ts" } },
    { type: "test:pass", data: { name: "three", skip: true } },
    { type: "test:diagnostic", data: { nesting: 0, message: "tests 3" } },
    { type: "test:diagnostic", data: { nesting: 0, message: "pass 1" } },
  ];
  async function* all() {
    yield* events;
  }
  const messages: unknown[] = [];
  for await (const { data } of withSkipped(all())) if (data.message !== undefined) messages.push(data.message);
  assert.deepEqual(messages, [
    "not run: one (functional/x.test.ts): nothing is installed",
    "not run: three (?): no reason is given",
    "tests 3",
    "pass 1",
  ]);
});
