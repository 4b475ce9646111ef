import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { type CpioEntry, packCpio } from "./cpio.ts";

const entries: CpioEntry[] = [
  { type: "folder", path: "dev" },
  { type: "character-device", path: "dev/console", major: 5, minor: 1 },
  { type: "file", path: "init", data: Buffer.from("#!"), executable: true },
  { type: "file", path: "list", data: Buffer.from("five."), executable: false },
];

test("packCpio makes an archive that cpio reads, with types, modes, sizes and device numbers", () => {
  const listing = execFileSync("cpio", ["--list", "--verbose", "--numeric-uid-gid", "--quiet"], {
    input: packCpio(entries),
    encoding: "utf8",
    env: { ...process.env, TZ: "UTC", LC_ALL: "C" },
  });
  const rows = listing.trimEnd().split("\n");
  assert.deepEqual(
    rows.map((row) =>
      row
        .replace(/Jan +1 +1970/, "")
        .split(/\s+/)
        .join(" "),
    ),
    [
      "drwxr-xr-x 2 0 0 0 dev",
      "crw------- 1 0 0 5, 1 dev/console",
      "-rwxr-xr-x 1 0 0 2 init",
      "-rw-r--r-- 1 0 0 5 list",
    ],
  );
});

test("packCpio gives the same bytes for the same entries", () => {
  assert.deepEqual(packCpio(entries), packCpio(structuredClone(entries).map(restoreBuffer)));
});

/** structuredClone makes a Uint8Array of a Buffer. */
function restoreBuffer(entry: CpioEntry): CpioEntry {
  return entry.type === "file" ? { ...entry, data: Buffer.from(entry.data) } : entry;
}
