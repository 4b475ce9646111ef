import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { socketAddress } from "./socket-address.ts";

test("socketAddress lets a socket be used whose path is longer than 108 bytes", async () => {
  const folder = mkdtempSync(join(tmpdir(), "caisson-socket-"));
  try {
    const deep = join(folder, "d".repeat(200));
    mkdirSync(deep);
    const path = join(deep, "control.sock");
    using listening = socketAddress(path);
    const server = createServer((socket) => socket.end("hello")).listen(listening.path);
    await once(server, "listening");
    assert.ok(existsSync(path));
    using address = socketAddress(path);
    const client = connect(address.path);
    assert.equal(String((await once(client, "data"))[0]), "hello");
    client.end();
    server.close();
    await once(server, "close");
    assert.ok(!existsSync(path));
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("socketAddress throws for a directory that is not there", () => {
  assert.throws(() => socketAddress("/nonexistent/control.sock"), { code: "ENOENT" });
});
