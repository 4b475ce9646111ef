import assert from "node:assert/strict";
import { test } from "node:test";
import { inspectUsers } from "./check-users.ts";

const range = { first: 2_000_000_000, count: 65536 };
const files = (texts: Record<string, string>) => (path: string) => texts[path] ?? "";

test("inspectUsers is content when nobody else has QEMU's users", () => {
  const read = files({
    "/etc/passwd": "root:x:0:0:root:/root:/bin/sh\nbelow:x:1999999999:5::/:/bin/sh\nabove:x:2000065536:5::/:/bin/sh\n",
    "/etc/subuid": "root:100000:65536\nbelow:1999934464:65536\nabove:2000065536:65536\n",
    "/etc/group": "nonsense\nx:y:z\n",
  });
  assert.deepEqual(inspectUsers(range, read), {
    subject: "QEMU's users",
    status: "ok",
    found: "2000000000 to 2000065535",
  });
});

test("inspectUsers names who has them, too, and what to set", () => {
  const read = files({
    "/etc/passwd": "eve:x:2000000000:5::/:/bin/sh\nbob:x:1000:2000000000::/:/bin/sh\n",
    "/etc/group": "wheel:x:2000065535:\n",
    "/etc/subuid": "eve:1999999999:2\nzoe:1000000000:1500000000\n",
    "/etc/subgid": "eve:2000065535:1\n",
  });
  const { status, found, remedy } = inspectUsers(range, read);
  assert.equal(status, "note");
  assert.match(
    found,
    /eve in \/etc\/passwd, wheel in \/etc\/group, eve in \/etc\/subuid, zoe in \/etc\/subuid, eve in \/etc\/subgid$/,
  );
  assert.match(remedy ?? "", /qemu_uid_first/);
});

test("inspectUsers names the first few of many", () => {
  const lines = Array.from({ length: 9 }, (_, index) => `u${index}:x:${range.first + index}:0::/:/bin/sh\n`).join("");
  const { found } = inspectUsers(range, files({ "/etc/passwd": lines }));
  assert.match(found, /u4 in \/etc\/passwd, \.\.\.$/);
});
