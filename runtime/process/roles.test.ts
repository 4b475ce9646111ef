import assert from "node:assert/strict";
import { test } from "node:test";
import { nodeFlags } from "./roles.ts";

test("nodeFlags() keeps Node's root certificates for the exporter alone, and what else this process has", () => {
  assert.deepEqual(nodeFlags("sandbox-daemon", ["--disable-sigusr1"]), ["--disable-sigusr1", "--use-openssl-ca"]);
  const own = ["--import", "a", "--use-openssl-ca", "--import", "b"];
  assert.deepEqual(nodeFlags("make-fork-server", own), ["--import", "a", "--import", "b", "--use-openssl-ca"]);
  assert.deepEqual(nodeFlags("export-trace", own), ["--import", "a", "--import", "b"]);
});
