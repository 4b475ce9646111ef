import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { Host } from "../harness/host.ts";

const host = new Host();
after(() => host[Symbol.asyncDispose]());
const folder = mkdtempSync(join(tmpdir(), "caisson-check-"));
after(() => rmSync(folder, { recursive: true }));

interface Report {
  usable: boolean;
  findings: { subject: string; status: string; found: string; remedy?: string }[];
}

test("check says what will be used, and that this host can run containers", async () => {
  const text = await host.ok(["check"]);
  assert.match(text, /^ok {6}QEMU +\/\S+, version \d+\.\d+\.\d+$/m);
  assert.match(text, /^ok {6}virtiofsd +\/\S+, version \d\S* \((QEMU's|the Rust one)\)$/m);
  assert.match(text, /^ok {6}accelerator +(kvm|tcg) will be used$/m);
  assert.match(text, /^ok {6}transport +(vsock|virtio-serial) will be used$/m);
  assert.match(text, /^ok {6}guest image +\/.+, id [0-9a-f]{12}, kernel \S+$/m);
  assert.match(text, /^ok {6}VM +boots: /m);
  assert.match(text, /\nContainers can run here\.\n$/);
});

test("check --json has a remedy for all that is not well", async () => {
  const { usable, findings } = JSON.parse(await host.ok(["check", "--json"])) as Report;
  assert.equal(usable, true);
  const subjects =
    "user,machine,QEMU,virtiofsd,QEMU's users,KVM,accelerator,vhost_vsock,transport,network,vhost_net,host cgroups";
  for (const subject of subjects.split(",")) {
    assert.ok(
      findings.some((finding) => finding.subject === subject),
      subject,
    );
  }
  for (const { status, remedy, subject } of findings) assert.equal(status === "ok", remedy === undefined, subject);
});

test("check boots a VM, and fails with what it said when none boots", async () => {
  const settings = join(folder, "no-boot.toml");
  const lines = (kernelParams: string) =>
    `template = "off"\nboot_timeout_seconds = 100\nmemory_mib = 256\nkernel_params = "${kernelParams}"\n`;
  writeFileSync(settings, lines("init=/none rdinit=/none root=/none"));
  const bad = await host.run(["--config", settings, "check"]);
  assert.equal(bad.exitCode, 1);
  assert.match(bad.stdout, /^failed {2}VM +cannot start the VM: .*kernel panicked/m);
  assert.match(bad.stdout, /\nWhat failed has to be put right first\.\n$/);

  writeFileSync(settings, lines("loglevel=3"));
  assert.match(await host.ok(["--config", settings, "check"]), /^ok {6}VM +boots: its agent answered after [\d.]+ s$/m);
  assert.match(await host.ok(["--config", settings, "check"]), /^ok {6}VM +boots: .* s, as an earlier check found$/m);
});

test("check fails when no container can run, and says what to do", async () => {
  const settings = join(folder, "config.toml");
  writeFileSync(settings, 'qemu = "/none/qemu"\nimage = "/none/root.erofs"\n');
  const { exitCode, stdout } = await host.run(["--config", settings, "check"]);
  assert.equal(exitCode, 1);
  assert.match(stdout, /^failed {2}QEMU +cannot find QEMU.*\n +-> Install it/m);
  assert.match(stdout, /^note {4}VM +none was booted, since something else failed: guest image, QEMU$/m);
  assert.match(stdout, /^failed {2}guest image +\/none\/root\.erofs cannot be read: ENOENT\n +-> Build it/m);
  assert.match(stdout, /\nWhat failed has to be put right first\.\n$/);
});
