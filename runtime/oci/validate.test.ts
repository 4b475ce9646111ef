import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { CaissonError } from "../../protocol/errors.ts";
import { changed, merge, refusal } from "../../test/harness/configuration.ts";
import { defaultSpec } from "./default-spec.ts";
import { validateConfig, validateProcess, validateResources } from "./validate.ts";

/** And a network one, without which nothing is carried out. */
const namespaces = (...types: string[]) => [...types, "network"].map((type) => ({ type }));

test("validateConfig tells several problems at once and names the first one's field", () => {
  const document = changed({ process: { user: { uid: "root", gid: 2 ** 32 } }, mounts: [{ destination: 5 }] });
  const error = refusal(() => validateConfig(document, "/b/config.json"));
  assert.equal(error.field, "process.user.uid");
  assert.equal(
    error.message,
    '/b/config.json is not valid: process.user.uid: must be an unsigned 32-bit integer, not "root"; ' +
      "process.user.gid: must be an unsigned 32-bit integer, not 4294967296; " +
      "mounts[0].destination: must be a string, not 5",
  );
});

test("validateConfig counts the problems that it does not list", () => {
  const env = Array.from({ length: 25 }, () => "NOT A VARIABLE");
  const error = refusal(() => validateConfig(changed({ process: { env } }), "config.json"));
  assert.match(error.message, /process\.env\[9\]: [^;]*; and 15 more$/);
});

test("validateConfig never shows what the environment holds", () => {
  for (const entry of ["hunter2", "=hunter2", { a: "hunter2" }, ["hunter2"], "A=hunter2\0"]) {
    const error = refusal(() => validateConfig(changed({ process: { env: [entry] } }), "config.json"));
    assert.doesNotMatch(error.message, /hunter2/);
  }
});

test("validateConfig ignores unknown properties (config.md, Extensibility)", () => {
  const document = changed({ future: 1, process: { future: 1 }, linux: { resources: { memory: { future: 1 } } } });
  const expected = merge(defaultSpec(), { linux: { resources: { memory: {} } } });
  assert.deepEqual(validateConfig(document, "config.json"), expected);
});

test("validateConfig takes null for absent, as runc does", () => {
  const config = validateConfig(changed({ annotations: null, process: { capabilities: null } }), "config.json");
  assert.equal(config.annotations, undefined);
  assert.equal(config.process?.capabilities, undefined);
});

test("validateConfig takes every version 1.x", () => {
  for (const ociVersion of ["1.0.0", "1.0.2-dev", "1.2.0", "1.3.0", "1.10.11-rc.1+build.5"]) {
    validateConfig(changed({ ociVersion }), "config.json");
  }
});

test("validateConfig takes what engines write beyond the letter of the specification", () => {
  const infinity = 2n ** 64n - 1n;
  validateConfig(
    changed({
      process: { rlimits: [{ type: "RLIMIT_MEMLOCK", soft: infinity, hard: infinity }] },
      mounts: [
        { destination: "/etc/hosts", type: "bind", source: "/hosts", options: ["rprivate", "rbind", "ro"] },
        { destination: "/a", type: "none", source: "/b", options: ["bind", "rro", "nosuid"] },
        { destination: "/a", options: ["remount", "bind", "ro"] },
      ],
      linux: {
        namespaces: [
          ...namespaces("mount", "uts"),
          { type: "ipc", path: "" },
          { type: "pid", path: "/run/caisson/containers/pause/ns/pid" },
          { type: "user", path: "/run/caisson/containers/pause/ns/user" },
        ],
        uidMappings: [{ containerID: 0, hostID: 100000, size: 65536 }],
        rootfsPropagation: "rprivate",
        devices: [{ path: "/dev/fuse", type: "c", major: 10, minor: 229, fileMode: 0o20666 }],
        resources: {
          cpu: { shares: 1024, quota: -1, period: 0 },
          memory: { limit: 1 << 20, swap: -1, disableOOMKiller: false },
          pids: { limit: 0 },
        },
        sysctl: { "net.ipv4.ping_group_range": "0 0" },
      },
    }),
    "config.json",
  );
});

test("validateConfig throws nothing but CaissonError, whatever the document", () => {
  const anything = fc.jsonValue({ maxDepth: 4 });
  const section = fc.constantFrom("process", "root", "mounts", "hooks", "linux", "annotations", "hostname");
  fc.assert(
    fc.property(fc.dictionary(section, anything), (sections) => {
      try {
        validateConfig({ ...defaultSpec(), ...sections }, "config.json");
      } catch (error) {
        assert.ok(error instanceof CaissonError, String(error));
      }
    }),
    { numRuns: 500 },
  );
});

test("validateProcess takes the default process and names fields from process", () => {
  validateProcess(defaultSpec().process, "process.json");
  const error = refusal(() => validateProcess({ cwd: "/", args: "sh" }, "process.json"));
  assert.equal(error.message, 'process.json is not valid: process.args: must be an array, not "sh"');
});

test("validateResources checks types and ranges", () => {
  validateResources({ pids: { limit: 10 }, cpu: { cpus: "0-1" } }, "resources.json");
  const error = refusal(() => validateResources({ cpu: { period: 5 } }, "resources.json"));
  assert.match(error.message, /resources\.cpu\.period: must be from 1000/);
  assert.equal(refusal(() => validateResources([], "resources.json")).code, "CAISSON_E_CONFIG_INVALID");
});
