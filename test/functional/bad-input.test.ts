/** Configurations that cannot be run: each is told in one line, in the log, too, and leaves nothing. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, mkdtempSync, readFileSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, test } from "node:test";
import type { Spec } from "../../protocol/oci.ts";
import { Bundle } from "../harness/bundle.ts";
import { errorOf, Host } from "../harness/host.ts";

const host = new Host();
const folder = mkdtempSync(join(tmpdir(), "caisson-bad-"));
const log = join(folder, "log");
afterEach(() => host.clear());
after(async () => {
  rmSync(folder, { recursive: true });
  await host[Symbol.asyncDispose]();
});

/** Runs it with the flags before the verb, and checks all that every failure has in common. */
async function refused(bundle: string, message: RegExp, flags: readonly string[] = [], id = host.id()): Promise<void> {
  rmSync(log, { force: true });
  const result = await host.run(["--log", log, "--log-format", "json", ...flags, "run", "-b", bundle, id]);
  assert.equal(result.exitCode, 1);
  assert.equal(result.stdout, "");
  assert.match(errorOf(result), message);
  const records = readFileSync(log, "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  const errors = records.filter(({ level }) => level === "error");
  assert.equal(errors.length, 1, JSON.stringify(records));
  assert.match(errors[0].msg, message);
  assert.ok(Date.parse(errors[0].time));
  assert.deepEqual(await host.remains(), []);
}

function changed(change: (spec: Spec, bundle: Bundle) => void): Bundle {
  const bundle = new Bundle();
  change(bundle.spec, bundle);
  return bundle.write();
}

test("a bundle that does not exist", () =>
  refused(join(folder, "none"), /cannot use .*none as a bundle: no such file/));

test("a bundle that is not a folder", async () => {
  const file = join(folder, "file");
  writeFileSync(file, "");
  await refused(file, /cannot use .*file as a bundle: it is not a directory/);
});

test("a bundle without config.json", async () => {
  using bundle = new Bundle();
  rmSync(join(bundle.directory, "config.json"));
  await refused(bundle.directory, /cannot read .*config\.json: no such file or directory/);
});

for (const [what, text, message] of [
  ["empty", "", /config\.json, line 1, column 1: not valid JSON: expected a value, found the end of the file/],
  ["cut off", '{\n  "ociVersion": "1.0.2",', /config\.json, line 2, column \d+: not valid JSON/],
  ["an array", "[]", /config\.json is not valid/],
  ["binary", "\0\xff", /config\.json.*not/],
] as const) {
  test(`a config.json that is ${what}`, async () => {
    using bundle = new Bundle().write(text);
    await refused(bundle.directory, message);
  });
}

const configurations: [string, (spec: Spec, bundle: Bundle) => void, RegExp][] = [
  ["no ociVersion", (spec) => Reflect.deleteProperty(spec, "ociVersion"), /ociVersion: is required/],
  [
    "an unknown ociVersion",
    (spec) => Object.assign(spec, { ociVersion: "2.0.0" }),
    /ociVersion: must have the major version 1/,
  ],
  [
    "an ociVersion that is none",
    (spec) => Object.assign(spec, { ociVersion: "latest" }),
    /ociVersion: must be a semantic version/,
  ],
  ["no process", (spec) => Reflect.deleteProperty(spec, "process"), /process: is required/],
  [
    "no command",
    (_, { process }) => Object.assign(process, { args: [] }),
    /process\.args: must have at least one entry/,
  ],
  [
    "a user by name",
    (_, { process }) => Object.assign(process, { user: { uid: "root", gid: 0 } }),
    /process\.user\.uid: must be an unsigned 32-bit integer, not "root"/,
  ],
  [
    "a relative cwd",
    (_, { process }) => Object.assign(process, { cwd: "tmp" }),
    /process\.cwd: must be an absolute path, not "tmp"/,
  ],
  [
    "a rootfs that does not exist",
    (spec) => Object.assign(spec, { root: { path: "none" } }),
    /cannot use .*none as the container's root file system: no such file/,
  ],
  [
    "a rootfs that is a file",
    (spec) => Object.assign(spec, { root: { path: "config.json" } }),
    /root file system: it is not a directory/,
  ],
  [
    "capabilities in a list",
    (_, { process }) => Object.assign(process, { capabilities: ["CAP_KILL"] }),
    /process\.capabilities: must be an object, not an array/,
  ],
  [
    "a bind mount whose source does not exist",
    (spec) => spec.mounts?.push({ destination: "/x", type: "bind", source: "/none/here", options: ["bind"] }),
    /mounts\[\d+\].*\/none\/here/,
  ],
  [
    "an unknown annotation of ours",
    (spec) => Object.assign(spec, { annotations: { "io.caisson.vcpu": "1" } }),
    /io\.caisson\.vcpu is no setting/,
  ],
  [
    "more memory than there is",
    (spec) => Object.assign(spec, { annotations: { "io.caisson.memory_mib": "16000000" } }),
    /memory_mib is 16000000, and this host has/,
  ],
  [
    "a sysctl of the whole kernel",
    (spec) => Object.assign(spec.linux ?? {}, { sysctl: { "vm.swappiness": "1" } }),
    /linux\.sysctl\["vm\.swappiness"\]/,
  ],
  [
    "a cgroup path in no slice of systemd's",
    (spec) => Object.assign(spec.linux ?? {}, { cgroupsPath: "system:a:b" }),
    /linux\.cgroupsPath/,
  ],
];

for (const [what, change, message] of configurations) {
  test(`a configuration with ${what}`, async () => {
    using bundle = changed(change);
    await refused(bundle.directory, message);
  });
}

test("several mistakes are told at once", async () => {
  using bundle = changed((_, { process }) => Object.assign(process, { cwd: 5, args: "sh" }));
  await refused(
    bundle.directory,
    /process\.cwd: must be a string.*process\.args: must be an array|process\.args: must be an array.*process\.cwd: must be a string/,
  );
});

for (const [what, id] of [
  ["bad characters", "a/b"],
  ["a space", "a b"],
  ["dots", ".."],
  ["nothing", ""],
  ["too many characters", "x".repeat(300)],
] as const) {
  test(`an id of ${what}`, async () => {
    using bundle = new Bundle();
    await refused(bundle.directory, /invalid container ID ".*": /, [], id);
  });
}

for (const [what, settings, message] of [
  ["a kernel that does not exist", 'kernel = "/none/vmlinux"', /\/none\/vmlinux/],
  ["an image that does not exist", 'image = "/none/root.erofs"', /\/none\/root\.erofs/],
  ["a QEMU that does not exist", 'qemu = "/none/qemu"', /cannot find QEMU: there is no executable \/none\/qemu/],
  ["a QEMU that is not one", 'qemu = "/bin/true"', /cannot use .*: it did not say which version of QEMU it is/],
  ["an accelerator that does not work", 'accelerator = "xen"', /accelerator.*"xen"/],
  ["an unknown key", "memory = 5", /memory is no setting/],
  ["broken syntax", "memory_mib = ", /line 1, column \d+: not valid TOML/],
] as const) {
  test(`settings with ${what}`, async () => {
    using bundle = new Bundle();
    const file = join(folder, "config.toml");
    writeFileSync(file, `${settings}\n`);
    await refused(bundle.directory, message, ["--config", file]);
  });
}

test("a config.json or a settings file that never ends, or that nobody writes, is refused at once", async () => {
  using bundle = new Bundle();
  bundle.write();
  const path = join(bundle.directory, "config.json");
  const config = readFileSync(path);
  for (const make of [(at: string) => symlinkSync("/dev/zero", at), (at: string) => execFileSync("mkfifo", [at])]) {
    rmSync(path);
    make(path);
    await refused(bundle.directory, /cannot read .*config\.json: it is not a regular file/);
    rmSync(path);
    writeFileSync(path, config);
    const settings = join(folder, "endless.toml");
    make(settings);
    await refused(bundle.directory, /cannot read the settings .*: it is not a regular file/, ["--config", settings]);
    rmSync(settings);
  }
});

test("a config.json of 1 GB is refused by its size", async () => {
  using bundle = new Bundle();
  bundle.write();
  truncateSync(join(bundle.directory, "config.json"), 1024 ** 3);
  await refused(bundle.directory, /config\.json is too large: it has 1073741824 bytes, and at most \d+ bytes are read/);
});

test("a config.json that is nested too deeply is refused with a code of its own", async () => {
  using bundle = new Bundle();
  bundle.write(`{"ociVersion": "1.2.0", "x": ${"[".repeat(50_000)}12345678901234567890${"]".repeat(50_000)}}`);
  await refused(bundle.directory, /config\.json is nested too deeply/);
  assert.match(readFileSync(log, "utf8"), /CAISSON_E_CONFIG_INVALID/);
});

test("a settings file that does not exist", async () => {
  using bundle = new Bundle();
  await refused(bundle.directory, /cannot read the settings \/none\.toml/, ["--config", "/none.toml"]);
});

test("a rootfs that is a symbolic link to a folder works", async () => {
  using bundle = new Bundle(["true"]);
  symlinkSync(bundle.rootfs, join(bundle.directory, "link"));
  chmodSync(bundle.rootfs, 0o755);
  Object.assign(bundle.spec, { root: { path: "link" } });
  bundle.write();
  await host.ok(["run", "-b", bundle.directory, host.id()]);
  assert.deepEqual(await host.remains(), []);
});

test("a device of VFIO's that the host has not", async () => {
  const device = { path: "/dev/vfio/99999", type: "c" as const, major: 4000, minor: 99_999 };
  using bundle = changed((spec) => {
    spec.linux = { ...spec.linux, devices: [device] };
  });
  const why = "(the host has no IOMMU|the host has no /dev/vfio/vfio|the host has no such IOMMU group)";
  await refused(
    bundle.directory,
    new RegExp(`linux\\.devices\\[0\\]: /dev/vfio/99999 cannot be passed to the VM: ${why}`),
  );
});
