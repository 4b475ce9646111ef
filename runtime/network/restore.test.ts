import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { closeSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { openTap } from "../../native/posix/index.ts";
import { ScratchNamespace } from "../../test/harness/namespaces.ts";
import { readLinks } from "./dump.ts";
import { restoreNetwork } from "./restore.ts";
import { connect, planConnections } from "./tc-redirect.ts";

const options = process.getuid?.() === 0 ? {} : { skip: "needs root" };

test("restoreNetwork has nothing to do where the namespace is no more, whatever is at its path", () => {
  const folder = mkdtempSync(join(tmpdir(), "caisson-restore-"));
  try {
    const [gone, file, directory] = ["gone", "file", "directory"].map((name) => join(folder, name)) as [
      string,
      string,
      string,
    ];
    writeFileSync(file, "");
    mkdirSync(directory);
    const below = join(file, "net");
    for (const namespace of [gone, file, directory, below, "/proc/self/ns/mnt", "/proc/4194305/ns/net"]) {
      restoreNetwork({ namespace, inode: "1", interfaces: [], loopback: true });
    }
    for (const namespace of [gone, file]) restoreNetwork({ namespace, interfaces: [], loopback: true });
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("restoreNetwork leaves another namespace alone that is at the path by now", options, () => {
  using other = new ScratchNamespace();
  const before = other.ip("addr del 127.0.0.1/8 dev lo\naddr show dev lo");
  const { ino } = statSync(other.path, { bigint: true });
  restoreNetwork({ namespace: other.path, inode: String(ino + 1n), interfaces: [], loopback: true });
  assert.equal(other.ip("addr show dev lo"), before);
  restoreNetwork({ namespace: other.path, inode: String(ino), interfaces: [], loopback: true });
  assert.match(other.ip("addr show dev lo"), /127\.0\.0\.1\/8/);
});

test("restoreNetwork waits for a VM that ends a moment after its daemon", options, () => {
  using outside = new ScratchNamespace();
  using inside = new ScratchNamespace();
  inside.veth("eth0", outside, "far0");
  using socket = inside.socket();
  const links = readLinks(socket).filter(({ name }) => name === "eth0");
  const interfaces = planConnections(socket, links);
  const tap = inside.run(() => openTap("caisson%d"));
  const vm = spawn("sleep", ["0.3"], { stdio: ["ignore", "ignore", "ignore", tap.fd] });
  closeSync(tap.fd);
  for (const link of links) connect(socket, link, tap, links);
  restoreNetwork({ namespace: inside.path, interfaces });
  assert.doesNotMatch(inside.command("tc", "qdisc show dev eth0"), /ingress/);
  vm.kill();
});
