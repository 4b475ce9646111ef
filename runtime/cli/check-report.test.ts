import assert from "node:assert/strict";
import { test } from "node:test";
import { type Finding, isUsable, reportJson, reportText } from "./check-report.ts";

const qemu: Finding = { subject: "QEMU", status: "ok", found: "/usr/bin/qemu, 7.2.0" };
const vsock: Finding = { subject: "vhost_vsock", status: "note", found: "missing", remedy: "Load it." };
const image: Finding = { subject: "guest image", status: "failed", found: "missing", remedy: "Build it." };

test("isUsable holds unless something failed", () => {
  assert.equal(isUsable([qemu, vsock]), true);
  assert.equal(isUsable([qemu, image]), false);
});

test("reportText aligns findings and puts remedies below", () => {
  assert.equal(
    reportText([qemu, vsock]),
    "ok      QEMU         /usr/bin/qemu, 7.2.0\n" +
      "note    vhost_vsock  missing\n" +
      "                     -> Load it.\n" +
      "Containers can run here.\n",
  );
  assert.match(
    reportText([image]),
    /^failed {2}guest image {2}missing\n.*-> Build it\.\nWhat failed has to be put right first\.\n$/,
  );
});

test("reportJson says whether the host is usable", () => {
  assert.deepEqual(JSON.parse(reportJson([qemu, image])), { usable: false, findings: [qemu, image] });
});
