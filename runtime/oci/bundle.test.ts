import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { CaissonError } from "../../protocol/errors.ts";
import { stringifyJson } from "../../protocol/json.ts";
import { loadBundle, loadProcess } from "./bundle.ts";
import { defaultSpec } from "./default-spec.ts";
import { LARGEST_DOCUMENT_BYTES } from "./document.ts";
import { isNestedDeeper } from "./nesting.ts";

let bundle: string;

beforeEach(() => {
  bundle = mkdtempSync(join(tmpdir(), "caisson-bundle-"));
  mkdirSync(join(bundle, "rootfs"));
  write(stringifyJson(defaultSpec()));
});
afterEach(() => rmSync(bundle, { recursive: true }));

function write(text: string | Buffer): void {
  writeFileSync(join(bundle, "config.json"), text);
}

function refusal(load = () => loadBundle(bundle) as unknown): CaissonError {
  try {
    load();
  } catch (error) {
    assert.ok(error instanceof CaissonError, String(error));
    return error;
  }
  throw new Error("nothing was thrown");
}

test("loadBundle gives the configuration and absolute paths", () => {
  const loaded = loadBundle(bundle);
  assert.equal(loaded.bundle, bundle);
  assert.equal(loaded.rootfs, join(bundle, "rootfs"));
  assert.equal(loaded.config.hostname, "caisson");
  assert.deepEqual(loaded.warnings, []);
});

test("loadBundle follows a symbolic link to the root file system", () => {
  symlinkSync("rootfs", join(bundle, "link"));
  write(stringifyJson({ ...defaultSpec(), root: { path: "link" } }));
  assert.equal(loadBundle(bundle).rootfs, join(bundle, "rootfs"));
});

test("loadBundle keeps RLIM_INFINITY exact", () => {
  const config = defaultSpec();
  write(
    stringifyJson({
      ...config,
      process: { ...config.process, rlimits: [{ type: "RLIMIT_CORE", hard: 2n ** 64n - 1n, soft: 0 }] },
    }),
  );
  assert.equal(loadBundle(bundle).config.process?.rlimits?.[0]?.hard, 2n ** 64n - 1n);
});

test("loadBundle maps the host's root into a user namespace without a mapping, and says so", () => {
  const config = defaultSpec();
  const namespaces = [...(config.linux?.namespaces ?? []), { type: "user" as const }];
  write(stringifyJson({ ...config, linux: { ...config.linux, namespaces } }));
  const { config: loaded, warnings } = loadBundle(bundle);
  const root = [{ containerID: 0, hostID: 0, size: 1 }];
  assert.deepEqual([loaded.linux?.uidMappings, loaded.linux?.gidMappings], [root, root]);
  assert.match(warnings.join(), /^linux\.uidMappings: the new user namespace has none/);
});

test("loadBundle names a bundle that is missing or no directory", () => {
  const missing = refusal(() => loadBundle(join(bundle, "nowhere")));
  assert.equal(missing.code, "CAISSON_E_BUNDLE");
  assert.match(missing.message, /cannot use .*nowhere as a bundle: no such file or directory \(ENOENT\)/);
  const file = refusal(() => loadBundle(join(bundle, "config.json")));
  assert.equal(file.code, "CAISSON_E_BUNDLE");
  assert.match(file.message, /config\.json as a bundle: it is not a directory/);
});

test("loadBundle names a missing config.json", () => {
  rmSync(join(bundle, "config.json"));
  const error = refusal();
  assert.equal(error.code, "CAISSON_E_BUNDLE");
  assert.match(error.message, /cannot read .*config\.json: no such file or directory/);
});

test("loadBundle refuses a config.json that is a directory, or a FIFO without waiting for a writer", () => {
  rmSync(join(bundle, "config.json"));
  mkdirSync(join(bundle, "config.json"));
  assert.match(refusal().message, /not a regular file/);
  rmSync(join(bundle, "config.json"), { recursive: true });
  execFileSync("mkfifo", [join(bundle, "config.json")]);
  assert.match(refusal().message, /not a regular file/);
});

test("loadBundle tells line and column of malformed JSON", () => {
  write('{\n  "ociVersion": "1.2.0"\n  "root": {}\n}\n');
  const error = refusal();
  assert.equal(error.code, "CAISSON_E_CONFIG_INVALID");
  assert.match(error.message, /config\.json, line 3, column 3: not valid JSON: expected "," or "}", found "\\""$/);
});

test("loadBundle refuses an empty file, text that is not UTF-8, and too long a file", () => {
  write("");
  assert.match(refusal().message, /line 1, column 1: not valid JSON: expected a value, found the end of the file/);
  write(Buffer.from([0x22, 0xff, 0x22]));
  assert.match(refusal().message, /not UTF-8/);
  write(`"${"a".repeat(LARGEST_DOCUMENT_BYTES)}"`);
  assert.match(refusal().message, /too large/);
});

test("loadBundle refuses a document that is no object", () => {
  for (const text of ["[]", "null", "5", '"text"']) {
    write(text);
    assert.match(refusal().message, /the document: must be an object, not/);
  }
});

test("loadBundle refuses an unknown ociVersion before all else", () => {
  write('{"ociVersion": "2.0.0", "process": 5}');
  const error = refusal();
  assert.equal(error.code, "CAISSON_E_CONFIG_INVALID");
  assert.equal(error.field, "ociVersion");
  assert.match(error.message, /major version 1.*not "2\.0\.0"/);
});

test("loadBundle names a root file system that is missing or no directory", () => {
  rmSync(join(bundle, "rootfs"), { recursive: true });
  const missing = refusal();
  assert.equal(missing.code, "CAISSON_E_BUNDLE");
  assert.equal(missing.field, "root.path");
  assert.match(missing.message, /rootfs as the container's root file system: no such file or directory/);
  writeFileSync(join(bundle, "rootfs"), "");
  assert.match(refusal().message, /rootfs as the container's root file system: it is not a directory/);
});

test("loadBundle makes relative mount destinations and bind sources absolute, and leaves unknown capabilities out", () => {
  const config = defaultSpec();
  const mounts = [
    { destination: "data", source: "volumes/data", type: "bind", options: ["rbind", "ro"] },
    { destination: "/tmp", source: "tmpfs", type: "tmpfs" },
  ];
  const process = { ...config.process, capabilities: { bounding: ["CAP_KILL", "CAP_NOPE"] } };
  write(stringifyJson({ ...config, mounts, process }));
  const loaded = loadBundle(bundle);
  assert.equal(loaded.config.mounts?.[0]?.destination, "/data");
  assert.equal(loaded.config.mounts?.[0]?.source, join(bundle, "volumes/data"));
  assert.equal(loaded.config.mounts?.[1]?.source, "tmpfs");
  assert.deepEqual(loaded.config.process?.capabilities?.bounding, ["CAP_KILL"]);
  assert.equal(loaded.warnings.length, 2);
});

test("loadProcess names the fields from process", () => {
  const path = join(bundle, "process.json");
  writeFileSync(path, '{"args": ["sh", 5], "cwd": "/", "user": {"uid": "root"}}');
  const error = refusal(() => loadProcess(path));
  assert.equal(error.code, "CAISSON_E_CONFIG_INVALID");
  assert.match(error.message, /process\.user\.uid: must be an unsigned 32-bit integer, not "root"/);
  assert.match(error.message, /process\.args\[1\]: must be a string, not 5/);
  writeFileSync(path, '{"args": [], "cwd": "tmp"}');
  assert.match(refusal(() => loadProcess(path)).message, /process\.args: must have.*process\.cwd: must be an absolute/);
  assert.equal(refusal(() => loadProcess(join(bundle, "nothing"))).code, "CAISSON_E_USAGE");
});

test("loadBundle refuses a document that is nested too deeply, whatever holds it", () => {
  for (const [open, close] of [
    ["[", "]"],
    ['{"a":', "}"],
  ] as const) {
    write(`{"ociVersion": "1.2.0", "x": ${open.repeat(50_000)}1234567890123456789${close.repeat(50_000)}}`);
    const error = refusal();
    assert.equal(error.code, "CAISSON_E_CONFIG_INVALID");
    assert.match(error.message, /config\.json is nested too deeply/);
  }
});

test("isNestedDeeper counts brackets outside of strings", () => {
  assert.ok(!isNestedDeeper('{"a": ["]{[[\\"[[", [1]]}', 3));
  assert.ok(isNestedDeeper('{"a": ["]{[[\\"[[", [1]]}', 2));
});
