import assert from "node:assert/strict";
import { test } from "node:test";
import { launchWords } from "./launch-words.ts";

const read = (line: string) => {
  const [verb = "", ...words] = line.split(" ");
  return launchWords(verb, words);
};
const PLAIN = { id: "x", bundle: ".", pidFile: undefined, detach: false };

test("launchWords() reads create and run as engines and people write them", () => {
  assert.deepEqual(read("create x"), PLAIN);
  assert.deepEqual(read("create --bundle /b --pid-file p x"), { ...PLAIN, bundle: "/b", pidFile: "p" });
  assert.deepEqual(read("run -d x --bundle=b --pid-file=p"), { ...PLAIN, bundle: "b", pidFile: "p", detach: true });
  assert.deepEqual(read("run -b a -b b x"), { ...PLAIN, bundle: "b" });
});

test("launchWords() leaves what is unusual or wrong to the command line's own parser", () => {
  for (const line of [
    ...["create", "create x y", "create -d x", "create -b", "start x", "run --keep x", "run -db x", "run -b=x x"],
    ...["run --help", "create --console-socket s x", "run --preserve-fds 1 x", "run --no-pivot x", "run -- x"],
  ]) {
    assert.equal(read(line), undefined, line);
  }
});
