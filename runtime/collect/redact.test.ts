import assert from "node:assert/strict";
import { test } from "node:test";
import type { Spec } from "../../protocol/oci.ts";
import type { StateRecord } from "../state/record.ts";
import { redactConfig, redactRecord, redactSettings } from "./redact.ts";

const hook = { path: "/h", args: ["h", "SECRET"], env: ["T=SECRET"] };
const spec: Spec = {
  ociVersion: "1.2.0",
  process: { cwd: "/", args: ["mysql", "--password=SECRET"], env: ["A=SECRET", "B", "C=a=SECRET"] },
  mounts: [{ destination: "/m", type: "cifs", options: ["ro", "password=SECRET", "credentials=SECRET", "uid=5"] }],
  annotations: { "io.kubernetes.cri.sandbox-id": "s1", "example.com/token": "SECRET", "io.caisson.vcpus": "2" },
  hooks: { poststop: [hook], createRuntime: [hook] },
};

test("redactConfig keeps names, and none of what may be secret", () => {
  const redacted = redactConfig(spec);
  assert.doesNotMatch(JSON.stringify(redacted), /SECRET/);
  assert.deepEqual(redacted.process, {
    cwd: "/",
    args: ["mysql", "<left out>"],
    env: ["A=<left out>", "B=<left out>", "C=<left out>"],
  });
  assert.deepEqual(redacted.mounts?.[0]?.options, ["ro", "password=<left out>", "credentials=<left out>", "uid=5"]);
  assert.deepEqual(redacted.annotations, {
    "io.kubernetes.cri.sandbox-id": "s1",
    "example.com/token": "<left out>",
    "io.caisson.vcpus": "2",
  });
});

test("redactRecord keeps none of the annotations' values and the hooks' arguments", () => {
  const record = { id: "c1", annotations: { x: "SECRET" }, poststop: [hook] } as unknown as StateRecord;
  assert.doesNotMatch(JSON.stringify(redactRecord(record)), /SECRET/);
  assert.equal(redactRecord(record).id, "c1");
});

test("redactSettings leaves out what authenticates", () => {
  const text = 'log_level = "info"\notel_exporter_otlp_headers = "authorization=SECRET"\n';
  assert.equal(redactSettings(text), 'log_level = "info"\notel_exporter_otlp_headers = "<left out>"\n');
});
