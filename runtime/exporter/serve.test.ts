import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { after, test } from "node:test";
import type { CaissonError } from "../../protocol/errors.ts";
import { isLocal, parseAddress } from "./address.ts";
import { serveMetrics } from "./serve.ts";

const folder = mkdtempSync(join(tmpdir(), "monitor-"));
after(() => rmSync(folder, { recursive: true }));

function ask(
  socketPath: string,
  path: string,
  method = "GET",
): Promise<{ status: number; type: string; body: string }> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath, path, method, agent: false }, async (response) => {
      const type = response.headers["content-type"] ?? "";
      resolve({ status: response.statusCode ?? 0, type, body: await text(response) });
    });
    asked.once("error", reject);
    asked.end();
  });
}

test("parseAddress takes sockets and IP addresses with a port, and says what is wrong with others", () => {
  assert.deepEqual(parseAddress("unix:/run/x.sock"), { path: "/run/x.sock" });
  assert.deepEqual(parseAddress("127.0.0.1:0"), { host: "127.0.0.1", port: 0 });
  assert.deepEqual(parseAddress("[::1]:9911"), { host: "::1", port: 9911 });
  for (const wrong of ["", "9911", ":9911", "localhost:9911", "unix:x", "127.0.0.1:99999", "::1:9911"]) {
    assert.throws(
      () => parseAddress(wrong),
      (error: CaissonError) => error.code === "CAISSON_E_USAGE",
      wrong,
    );
  }
  assert.deepEqual(
    ["127.0.0.1:1", "[::1]:1", "10.0.0.1:1"].map((each) => isLocal(parseAddress(each))),
    [true, true, false],
  );
});

test("serveMetrics serves /metrics to as many as ask while it is gathered, and nothing else", async () => {
  let gathered = 0;
  const path = join(folder, "m.sock");
  const gather = async () => {
    gathered += 1;
    await new Promise((resolve) => setTimeout(resolve, 50));
    return "a 1\n";
  };
  const { server, at } = await serveMetrics({ path }, gather);
  assert.equal(at, `unix:${path}`);
  const answers = await Promise.all([ask(path, "/metrics"), ask(path, "/metrics?x=1"), ask(path, "/metrics")]);
  for (const answer of answers) {
    assert.deepEqual(answer, { status: 200, type: "text/plain; version=0.0.4; charset=utf-8", body: "a 1\n" });
  }
  assert.equal(gathered, 1);
  assert.equal((await ask(path, "/other")).status, 404);
  assert.equal((await ask(path, "/metrics", "POST")).status, 405);
  await assert.rejects(serveMetrics({ path }, gather), (error: CaissonError) => error.code === "CAISSON_E_HOST");
  server.close();
  server.closeAllConnections();
  assert.ok(!existsSync(path));
});

test("serveMetrics takes the place of a listener that was killed", async () => {
  const path = join(folder, "left.sock");
  const { spawnSync } = await import("node:child_process");
  const script = `require("net").createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, "SIGKILL"))`;
  spawnSync(process.execPath, ["-e", script]);
  assert.ok(existsSync(path));
  const { server } = await serveMetrics({ path }, async () => "a 1\n");
  assert.equal((await ask(path, "/")).status, 200);
  server.close();
  server.closeAllConnections();
});

test("serveMetrics survives that nothing can be gathered", async () => {
  const path = join(folder, "fail.sock");
  const { server } = await serveMetrics({ path }, () => Promise.reject(new Error("no")));
  await assert.rejects(ask(path, "/metrics"));
  assert.equal((await ask(path, "/")).status, 200);
  server.close();
  server.closeAllConnections();
});
