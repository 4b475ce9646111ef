import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { DEFAULTS } from "../config/settings.ts";
import { log } from "../text/log.ts";
import { machineFor, sandboxTemplates, usableFacts } from "./vm-config.ts";

const folder = mkdtempSync(join(tmpdir(), "caisson-choice-"));
const inFolder = (name: string) => join(folder, name);

before(() => {
  log.start({ log: inFolder("log"), logFormat: "text", debug: false });
  for (const name of ["others", "open", "fixed"]) mkdirSync(inFolder(name), { mode: 0o700 });
  chownSync(inFolder("others"), 12345, 12345);
  chmodSync(inFolder("open"), 0o777);
  writeFileSync(inFolder("file"), "");
  execFileSync("mount", ["-t", "tmpfs", "-o", "ro", "tmpfs", inFolder("fixed")]);
});
after(() => {
  log.stop();
  execFileSync("umount", [inFolder("fixed")]);
  rmSync(folder, { recursive: true });
});

for (const [what, directory] of [
  ["that cannot be made", "fixed/templates"],
  ["that is another user's", "others/templates"],
  ["that everybody can write to", "open/templates"],
  ["that is below a file", "file/templates"],
] as const) {
  test(`a template folder ${what} is no error: there are no templates, and facts are not kept`, () => {
    const settings = { ...DEFAULTS, templateDir: inFolder(directory) };
    assert.equal(sandboxTemplates(settings), undefined);
    assert.equal(usableFacts(settings), undefined);
  });
}

test("a template folder that is missing is made", () => {
  const settings = { ...DEFAULTS, templateDir: inFolder("new/deep/templates") };
  assert.equal(sandboxTemplates(settings)?.directory, inFolder("new/deep/templates"));
  assert.equal(usableFacts(settings), inFolder("new/deep/host"));
});

test("a function of the host's chooses q35, and is refused by name where microvm is insisted on", () => {
  const passed = [{ address: "0000:3b:00.0", folder: "/sys/devices/0000:3b:00.0", group: "7" }];
  assert.deepEqual(
    (["auto", "microvm", "q35"] as const).map((machine) => machineFor({ machine }, [])),
    ["microvm", "microvm", "q35"],
  );
  assert.deepEqual(
    (["auto", "q35"] as const).map((machine) => machineFor({ machine }, passed)),
    ["q35", "q35"],
  );
  assert.throws(() => machineFor({ machine: "microvm" }, passed), {
    code: "CAISSON_E_SETTINGS",
    field: "machine",
    message: /^the PCI function 0000:3b:00\.0 cannot be passed/,
  });
});
