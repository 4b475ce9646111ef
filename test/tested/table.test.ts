import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { systemName, upstream } from "./facts.ts";
import { merge, nameOf, type Place, places } from "./place.ts";
import { countsByFile, type Event, parseResults, type Results } from "./results.ts";
import { PAGES, table, withTable } from "./table.ts";

const facts: Results["facts"] = {
  system: "Debian 13",
  kernel: "6.18",
  qemu: "10.0.13",
  virtiofsd: "1.13.2 (the Rust one)",
  accelerator: "tcg",
  transport: "virtio-serial",
  cgroups: "v1",
  systemd: false,
  engines: { runc: "1.1.15", podman: "5.4.2", containerd: "1.7.24", docker: "26.1.5" },
};
const passed = (count: number) => ({ passed: count, failed: 0, skipped: 0 });

test("the pages' tables are what the tests' results say (make tested)", () => {
  for (const { file, rows } of PAGES) {
    const page = readFileSync(file, "utf8");
    assert.equal(page, withTable(page, table(places(), rows)), file);
  }
});

test("table() has a column for each place, and leaves out what was run nowhere", () => {
  const files = { "test/functional/a.test.ts": passed(2), "test/functional/b.test.ts": { ...passed(1), skipped: 3 } };
  const place: Place = { date: "2026-11-30", facts, files };
  const other: Place = {
    date: "2026-12-01",
    facts: { ...facts, accelerator: "kvm", transport: "vsock", cgroups: "v2", systemd: true },
    files: { "test/conformance/a.test.ts": { passed: 4, failed: 1, skipped: 0 } },
  };
  assert.equal(
    table(
      [place, other],
      [
        { title: "commands", files: /functional/ },
        { title: "beside runc", files: /conformance/, engine: "runc" },
        { title: "nothing", files: /nothing/ },
      ],
    ),
    `|  | Debian 13 | Debian 13 |
| --- | --- | --- |
| VMs | emulated, virtio-serial | KVM, vsock |
| QEMU; virtiofsd | 10.0.13; 1.13.2 (the Rust one) | 10.0.13; 1.13.2 (the Rust one) |
| host's kernel and cgroups | Linux 6.18, v1 | Linux 6.18, v2 with systemd |
| commands | 3 passed, 3 not run |  |
| beside runc |  | 1.1.15: 4 passed, **1 failed** |
| run last | 2026-11-30 | 2026-12-01 |
`,
  );
});

test("merge() keeps files that were not run again, unless the machine is another", () => {
  const first = merge(undefined, { facts, files: { "b.test.ts": passed(1), "a.test.ts": passed(1) } }, "2026-11-28");
  const second = merge(first, { facts, files: { "b.test.ts": passed(2) } }, "2026-11-29");
  assert.equal(second.date, "2026-11-29");
  assert.deepEqual(Object.entries(second.files), [
    ["a.test.ts", passed(1)],
    ["b.test.ts", passed(2)],
  ]);
  const newer = { facts: { ...facts, qemu: "10.1.0" }, files: { "a.test.ts": passed(3) } };
  assert.deepEqual(merge(second, newer, "2026-11-30"), { date: "2026-11-30", ...newer });
});

test("nameOf() tells places apart", () => {
  assert.equal(nameOf(facts), "debian-13-tcg-v1");
  assert.equal(nameOf({ ...facts, accelerator: "kvm", cgroups: "v2", systemd: true }), "debian-13-kvm-v2-systemd");
});

test("parseResults() takes the runner's sum of each file, and not that of all", async () => {
  async function* events(): AsyncGenerator<Event> {
    const counts = { passed: 3, failed: 1, cancelled: 1, skipped: 2 };
    yield { type: "test:pass", data: { file: "/top/a.test.ts" } };
    yield { type: "test:summary", data: { file: "/top/test/a.test.ts", counts } };
    yield {
      type: "test:summary",
      data: { file: "/top/test/b.test.ts", counts: { ...counts, failed: 0, cancelled: 0 } },
    };
    yield { type: "test:summary", data: { counts } };
  }
  let written = `${JSON.stringify({ facts })}\n`;
  for await (const files of countsByFile(events(), "/top")) written += `${JSON.stringify({ files })}\n`;
  assert.deepEqual(parseResults(written), {
    facts,
    files: {
      "test/a.test.ts": { passed: 3, failed: 2, skipped: 2 },
      "test/b.test.ts": { passed: 3, failed: 0, skipped: 2 },
    },
  });
  assert.throws(() => parseResults(""), /where they are from/);
});

test("systemName() and upstream() shorten what a machine says of itself", () => {
  assert.equal(systemName('PRETTY_NAME="x"\nNAME="Debian GNU/Linux"\nVERSION_ID="13"\n'), "Debian 13");
  assert.equal(systemName('NAME="Debian GNU/Linux"\nVERSION_CODENAME=sid\n'), "Debian sid");
  assert.equal(upstream("1:10.0.13+ds-0+deb13u1"), "10.0.13");
  assert.equal(upstream("26.1.5+dfsg1-9+b9"), "26.1.5");
  assert.equal(upstream(""), "");
});
