import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { takeUid } from "./uids.ts";

const folder = mkdtempSync(join(tmpdir(), "caisson-uids-"));
after(() => rmSync(folder, { recursive: true }));
const RANGE = { first: 2_000_000_000, count: 4 };

test("takeUid gives each taker another user, and takes the one that was released last of all", () => {
  const taken = [1, 2, 3].map(() => takeUid(RANGE, folder));
  assert.deepEqual(
    taken.map(({ uid }) => uid - RANGE.first),
    [0, 1, 2],
  );
  taken[1]?.release();
  taken[1]?.release();
  const next = [takeUid(RANGE, folder), takeUid(RANGE, folder)];
  assert.deepEqual(
    next.map(({ uid }) => uid - RANGE.first),
    [3, 1],
  );
  assert.throws(() => takeUid(RANGE, folder), {
    code: "CAISSON_E_HOST",
    message: /2000000000 to 2000000003 are taken/,
  });
  for (const each of [...taken, ...next]) each.release();
});

test("takeUid gets back what a killed process had", () => {
  const script = join(folder, "taker.mjs");
  writeFileSync(
    script,
    `import { takeUid } from ${JSON.stringify(join(import.meta.dirname, "uids.ts"))};
    const range = ${JSON.stringify(RANGE)};
    for (let each = 0; each < range.count; each++) takeUid(range, ${JSON.stringify(folder)});
    process.kill(process.pid, "SIGKILL");`,
  );
  assert.equal(spawnSync(process.execPath, [script]).signal, "SIGKILL");
  takeUid(RANGE, folder).release();
});

test("takeUid passes over what is written in its file by others", () => {
  writeFileSync(join(folder, "uids"), "nonsense");
  const taken = takeUid(RANGE, folder);
  assert.equal(taken.uid, RANGE.first);
  taken.release();
});

test("takeUid names the file that it cannot write", () => {
  const message = /^cannot take a user for QEMU in \/dev\/full\/below\/uids: /;
  assert.throws(() => takeUid(RANGE, "/dev/full/below"), { code: "CAISSON_E_STORAGE", message });
});
