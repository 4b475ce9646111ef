import assert from "node:assert/strict";
import { test } from "node:test";
import { parseFlags } from "./flags.ts";

test("parseFlags reads what containerd writes", () => {
  const words = "-namespace k8s.io -address /run/c.sock -publish-binary /usr/bin/containerd -id abc -debug start";
  assert.deepEqual(parseFlags(words.split(" ")), {
    namespace: "k8s.io",
    id: "abc",
    address: "/run/c.sock",
    publishBinary: "/usr/bin/containerd",
    bundle: "",
    debug: true,
    version: false,
    info: false,
    action: "start",
  });
});

test("parseFlags takes every form that Go's flag package does", () => {
  assert.equal(parseFlags(["--id=a=b", "-debug=false", "delete"]).id, "a=b");
  assert.equal(parseFlags(["-debug=false"]).debug, false);
  assert.equal(parseFlags(["-info"]).info, true);
  assert.equal(parseFlags(["-v"]).version, true);
  assert.equal(parseFlags(["-bundle", "/b", "delete", "more"]).action, "delete");
});

test("parseFlags refuses a flag that there is not, and one without its value", () => {
  for (const words of [["-shape", "x"], ["-constructor", "x"], ["-id"]]) {
    assert.throws(() => parseFlags(words), { code: "CAISSON_E_USAGE" });
  }
});
