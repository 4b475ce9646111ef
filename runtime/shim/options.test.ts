import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { RuncOptions, RuntimeOptions } from "../../protocol/generated/containerd/options.ts";
import { loadSettings } from "../config/load.ts";
import { packAny } from "./any.ts";
import { settingsOf } from "./options.ts";

const runc: RuncOptions = {
  noPivotRoot: false,
  noNewKeyring: false,
  shimCgroup: "",
  ioUid: 0,
  ioGid: 0,
  binaryName: "",
  root: "",
  systemdCgroup: true,
  criuPath: "",
};

test("settingsOf without options, or with empty ones, are the default settings", () => {
  const empty = { typeUrl: "runtimeoptions.v1.Options", value: Buffer.alloc(0) };
  for (const options of [undefined, empty]) assert.deepEqual(settingsOf(options), loadSettings());
});

test("settingsOf reads the file that ConfigPath names, or the options' own text", (context) => {
  const folder = mkdtempSync(join(tmpdir(), "caisson-options-"));
  context.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, "config.toml");
  writeFileSync(file, "default_memory_mib = 333\n");
  const byPath: RuntimeOptions = { typeUrl: "", configPath: file, configBody: Buffer.alloc(0) };
  const byText: RuntimeOptions = { typeUrl: "", configPath: "", configBody: Buffer.from("default_memory_mib = 444") };
  for (const prefix of ["", "types.googleapis.com/"]) {
    const pack = (options: RuntimeOptions) => packAny(`${prefix}runtimeoptions.v1.Options`, RuntimeOptions, options);
    assert.equal(settingsOf(pack(byPath)).defaultMemoryMib, 333);
    assert.equal(settingsOf(pack(byText)).defaultMemoryMib, 444);
  }
});

test("settingsOf takes runc's options but for those that a VM cannot honour", () => {
  const pack = (options: RuncOptions) => packAny("containerd.runc.v1.Options", RuncOptions, options);
  assert.deepEqual(settingsOf(pack(runc)), loadSettings());
  assert.deepEqual(settingsOf(pack({ ...runc, noPivotRoot: true, noNewKeyring: true })), loadSettings());
  assert.throws(() => settingsOf(pack({ ...runc, criuPath: "/usr/bin/criu" })), {
    code: "CAISSON_E_CONFIG_UNSUPPORTED",
  });
});

test("settingsOf refuses options of a type that it does not know", () => {
  const options = { typeUrl: "some.other.Options", value: Buffer.from([8, 1]) };
  assert.throws(() => settingsOf(options), { code: "CAISSON_E_CONFIG_UNSUPPORTED", message: /some\.other\.Options/ });
});
