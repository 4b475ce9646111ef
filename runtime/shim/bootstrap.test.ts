import assert from "node:assert/strict";
import { test } from "node:test";
import { BootstrapParams } from "../../protocol/generated/containerd/options.ts";
import { Any } from "../../protocol/generated/containerd/types.ts";
import { formatStartAnswer, readStartInput } from "./bootstrap.ts";

const who = { id: "abc", namespace: "k8s.io" };
const options: Any = { typeUrl: "runtimeoptions.v1.Options", value: Buffer.from("xyz") };
const encoded = Any.encode(options).finish();

test("readStartInput: containerd 1.6 gives options and wants the bare address", () => {
  assert.deepEqual(readStartInput(encoded, who, undefined), { options, version: 1 });
  assert.deepEqual(readStartInput(Buffer.alloc(0), who, undefined), { options: undefined, version: 1 });
});

test("readStartInput: containerd 1.7 to 2.2 say which version they take", () => {
  assert.deepEqual(readStartInput(encoded, who, "2"), { options, version: 2 });
  assert.deepEqual(readStartInput(encoded, who, "9"), { options, version: 3 });
  assert.deepEqual(readStartInput(encoded, who, "many"), { options, version: 1 });
});

test("readStartInput: bootstrap parameters of containerd 2.3", () => {
  const params: BootstrapParams = {
    instanceId: "abc",
    namespace: "k8s.io",
    logLevel: -4,
    containerdVersion: "2.3.0",
    containerdTtrpcAddress: "/run/c.ttrpc",
    containerdGrpcAddress: "/run/c.sock",
    containerdBinary: "/usr/bin/containerd",
    extensions: [{ value: options }],
  };
  assert.deepEqual(readStartInput(BootstrapParams.encode(params).finish(), who, "2"), { options, version: 3 });
});

test("formatStartAnswer has all three forms", () => {
  assert.equal(formatStartAnswer("unix:///s", 1), "unix:///s");
  assert.equal(formatStartAnswer("unix:///s", 2), '{"version":2,"address":"unix:///s","protocol":"ttrpc"}');
  assert.equal(formatStartAnswer("unix:///s", 3), '{"version":3,"address":"unix:///s","protocol":"ttrpc"}');
});
