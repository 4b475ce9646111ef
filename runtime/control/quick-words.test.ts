import assert from "node:assert/strict";
import { test } from "node:test";
import { quickWords } from "./quick-words.ts";

const isQuick = (line: string) => {
  const [verb = "", ...words] = line.split(" ");
  return quickWords(verb, words) !== undefined;
};

test("quickWords() has the verbs of a container's life as engines write them", () => {
  for (const line of ["start x", "state x", "pause x", "resume x", "delete x", "delete --force x", "delete x -f"]) {
    assert.ok(isQuick(line), line);
  }
  for (const line of ["kill x", "kill x 9", "kill --all x TERM", "kill x KILL -a"]) assert.ok(isQuick(line), line);
});

test("quickWords() leaves what is unusual or wrong to the command line's own parser", () => {
  for (const line of [
    ...["start", "start x y", "start --help", "state x -f", "pause -a x", "delete", "delete x y", "delete -r x"],
    ...["delete -rf x", "kill", "kill x 9 10", "kill -9 x", "kill -- x", "run x", "toString x", "constructor x"],
  ]) {
    assert.ok(!isQuick(line), line);
  }
});
