import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { CaissonError } from "../../protocol/errors.ts";
import { applyAnnotations, loadSettings, parseSettings } from "./load.ts";
import { DEFAULTS, KEYS } from "./settings.ts";

function refusal(run: () => unknown): CaissonError {
  try {
    run();
  } catch (error) {
    assert.ok(error instanceof CaissonError, String(error));
    assert.equal(error.code, "CAISSON_E_SETTINGS");
    return error;
  }
  throw new Error("nothing was thrown");
}

const messageOf = (toml: string) => refusal(() => parseSettings(toml, "config.toml")).message;

test("parseSettings reads every key", () => {
  const settings = parseSettings(
    `
    machine = "q35"
    accelerator = "tcg"
    transport = "virtio-serial"
    shared_fs = "virtio-fs"
    volume_access_lists = "on"
    template = "off"
    fork_server = "off"
    snapshot = "off"
    template_dir = "/mnt/templates"
    memory_mib = 512
    vcpus = 2
    default_memory_mib = 1024
    default_vcpus = 4
    max_memory_percent = 25
    max_vcpus = 6
    memory_overhead_mib = 96
    qemu = "/opt/qemu/bin/qemu-system-x86_64"
    qemu_uid_first = 700000
    qemu_uid_count = 2048
    virtiofsd = "/opt/virtiofsd"
    kernel = "/boot/vmlinuz"
    initrd = "/boot/initrd.img"
    image = "/srv/root.erofs"
    kernel_params = "quiet  loglevel=3"
    log_level = "debug"
    boot_timeout_seconds = 90
    guest_shell = "on"
    otel_endpoint = "http://c:4318"
    otel_headers = "a=b"
    enabled_annotations = ["vcpus", "kernel_params"]
    `,
    "config.toml",
  );
  assert.deepEqual(settings, {
    machine: "q35",
    accelerator: "tcg",
    transport: "virtio-serial",
    sharedFs: "virtio-fs",
    volumeAccessLists: "on",
    template: "off",
    forkServer: "off",
    snapshot: "off",
    templateDir: "/mnt/templates",
    memoryMib: 512,
    vcpus: 2,
    defaultMemoryMib: 1024,
    defaultVcpus: 4,
    maxMemoryPercent: 25,
    maxVcpus: 6,
    memoryOverheadMib: 96,
    qemu: "/opt/qemu/bin/qemu-system-x86_64",
    qemuUidFirst: 700_000,
    qemuUidCount: 2048,
    virtiofsd: "/opt/virtiofsd",
    kernel: "/boot/vmlinuz",
    initrd: "/boot/initrd.img",
    image: "/srv/root.erofs",
    kernelParams: ["quiet", "loglevel=3"],
    logLevel: "debug",
    bootTimeoutSeconds: 90,
    guestShell: "on",
    otelEndpoint: "http://c:4318",
    otelHeaders: "a=b",
    enabledAnnotations: ["vcpus", "kernel_params"],
  });
  assert.deepEqual(Object.keys(settings).sort(), [...KEYS.values()].map(({ name }) => name).sort());
});

test("parseSettings gives the defaults for an empty file", () => {
  assert.deepEqual(parseSettings("", "config.toml"), DEFAULTS);
});

test("parseSettings refuses an unknown key with the closest known one", () => {
  assert.match(messageOf("memory_mb = 512"), /memory_mb is no setting; perhaps "memory_mib" is meant/);
  assert.match(messageOf("[sandbox]\nvcpus = 1"), /^config\.toml: sandbox is no setting/);
});

test("parseSettings tells wrong types, wrong names and numbers out of range, all at once", () => {
  const message = messageOf('template = true\nvcpus = 0\nmachine = "pc"\nkernel = "vmlinuz"\nkernel_params = ["a"]');
  assert.match(message, /template must be "on" or "off", not true/);
  assert.match(message, /vcpus must be a number of vCPUs from 1 to 255, not 0/);
  assert.match(message, /machine must be "auto", "microvm" or "q35", not "pc"/);
  assert.match(message, /kernel must be an absolute path, not "vmlinuz"/);
  assert.match(message, /kernel_params must be a text like .*, not a list/);
  assert.match(messageOf('shared_fs = "virtio-9p"'), /shared_fs must be "virtio-fs", not "virtio-9p"/);
  assert.match(messageOf("memory_mib = 1.5"), /memory_mib must be a number of MiB from 128 to \d+, not 1\.5/);
  assert.match(messageOf('image = "/a,readonly=off"'), /comma/);
  assert.match(messageOf('qemu = "bin/qemu"'), /qemu must be a command's name or its absolute path/);
});

test("parseSettings refuses lists that enable unknown keys or themselves", () => {
  assert.match(messageOf('enabled_annotations = ["vcpu"]'), /"vcpu" is none; perhaps "vcpus" is meant/);
  assert.match(messageOf('enabled_annotations = ["enabled_annotations"]'), /must not have itself/);
  assert.match(messageOf('enabled_annotations = "vcpus"'), /must be a list of keys/);
});

test("parseSettings tells line and column of malformed TOML", () => {
  assert.match(messageOf("vcpus = 1\nmachine = microvm\n"), /^config\.toml, line 2, column \d+: not valid TOML: /);
});

test("loadSettings wants the file that is named", () => {
  const folder = mkdtempSync(join(tmpdir(), "caisson-config-"));
  try {
    const path = join(folder, "config.toml");
    assert.match(refusal(() => loadSettings(path)).message, /cannot read the settings .*ENOENT/);
    writeFileSync(path, "vcpus = 3");
    assert.equal(loadSettings(path).vcpus, 3);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("applyAnnotations overrides what is enabled and leaves others' annotations alone", () => {
  const settings = applyAnnotations(DEFAULTS, {
    "io.caisson.memory_mib": "512",
    "io.caisson.template": "off",
    "io.kubernetes.cri.sandbox-id": "x",
  });
  assert.equal(settings.memoryMib, 512);
  assert.equal(settings.template, "off");
  assert.deepEqual({ ...settings, memoryMib: undefined, template: "on" }, DEFAULTS);
  assert.equal(applyAnnotations(DEFAULTS), DEFAULTS);
});

test("applyAnnotations refuses what names files of the host, unless the host allows it", () => {
  for (const key of ["kernel", "initrd", "image", "qemu", "template_dir", "kernel_params", "enabled_annotations"]) {
    const error = refusal(() => applyAnnotations(DEFAULTS, { [`io.caisson.${key}`]: "/etc/shadow" }));
    assert.equal(error.field, `io.caisson.${key}`);
    assert.match(error.message, /may not be set by a container/);
  }
  const allowed = { ...DEFAULTS, enabledAnnotations: ["kernel"] };
  assert.equal(applyAnnotations(allowed, { "io.caisson.kernel": "/boot/other" }).kernel, "/boot/other");
});

test("applyAnnotations refuses unknown annotations of ours and wrong values", () => {
  assert.match(
    refusal(() => applyAnnotations(DEFAULTS, { "io.caisson.vcpu": "2" })).message,
    /io\.caisson\.vcpu is no setting; perhaps "vcpus" is meant/,
  );
  for (const text of ["", "two", "2.5", "-1", "0x10", " 2"]) {
    assert.match(
      refusal(() => applyAnnotations(DEFAULTS, { "io.caisson.vcpus": text })).message,
      /io\.caisson\.vcpus must be a number of vCPUs/,
    );
  }
});

test("applyAnnotations throws nothing but CaissonError, whatever the annotations", () => {
  const key = fc.constantFrom(...[...KEYS.keys()].map((name) => `io.caisson.${name}`), "io.caisson.", "other");
  fc.assert(
    fc.property(fc.dictionary(key, fc.string()), (annotations) => {
      try {
        applyAnnotations(DEFAULTS, annotations);
      } catch (error) {
        assert.ok(error instanceof CaissonError, String(error));
      }
    }),
  );
});

test("loadSettings refuses a file that is none, too large or nested too deeply, without waiting", () => {
  const folder = mkdtempSync(join(tmpdir(), "caisson-settings-"));
  try {
    const file = join(folder, "config.toml");
    assert.match(refusal(() => loadSettings(folder)).message, /cannot read the settings .*: it is a directory/);
    assert.match(refusal(() => loadSettings("/dev/zero")).message, /not a regular file/);
    writeFileSync(file, `# ${"a".repeat(2 * 1024 * 1024)}`);
    assert.match(refusal(() => loadSettings(file)).message, /at most 1048576 bytes/);
    writeFileSync(file, `qemu = ${"[".repeat(50_000)}${"]".repeat(50_000)}`);
    assert.match(refusal(() => loadSettings(file)).message, /nest/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
