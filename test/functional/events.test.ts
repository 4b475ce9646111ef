import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync, statSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { after, test } from "node:test";
import { gunzipSync } from "node:zlib";
import { Bundle } from "../harness/bundle.ts";
import { collect, errorOf, Host, until } from "../harness/host.ts";

const host = new Host();
after(() => host[Symbol.asyncDispose]());

test("events --stats prints one reading", async () => {
  using bundle = new Bundle();
  bundle.process.env = ["PATH=/bin", "TOKEN=SECRET"];
  bundle.write();
  const id = await host.start(bundle);
  const { type, id: named, data } = JSON.parse(await host.ok(["events", "--stats", id]));
  assert.deepEqual({ type, named }, { type: "stats", named: id });
  assert.ok(data.cpu.usage.total > 0);
  assert.ok(data.memory.usage.usage > 0);
  assert.equal(data.pids.current, 1);

  const metrics = await host.ok(["metrics"]);
  const value = (series: string): number => {
    const [name = "", labels = ""] = series.split(" ");
    const lines = metrics.split("\n").filter((line) => line.startsWith(`${name}{sandbox_id="${id}"`));
    return Number(
      lines
        .find((line) => line.includes(labels))
        ?.split(" ")
        .at(-1),
    );
  };
  assert.equal(value("caisson_sandbox_up"), 1);
  assert.equal(value("caisson_guest_up"), 1);
  assert.ok(value('caisson_guest_meminfo_bytes item="mem_total"') > 64 * 1024 * 1024);
  assert.ok(value('caisson_guest_cpu_time_seconds_total item="user"') > 0);
  assert.ok(value('caisson_guest_diskstat_read_bytes_total disk="vda"') > 0);
  assert.ok(value('caisson_guest_netdev_receive_bytes_total interface="lo"') >= 0);
  assert.ok(value("caisson_hypervisor_cpu_seconds_total") > 0);
  assert.ok(value("caisson_virtiofsd_threads") > 1);
  assert.equal(value('caisson_agent_rpc_duration_seconds_count action="createContainer"'), 1);

  const archive = join(bundle.directory, "report.tar.gz");
  assert.match(await host.ok(["collect", "--no-check", "-o", archive]), new RegExp(`  ${id}: running`));
  assert.equal(statSync(archive).mode & 0o777, 0o600);
  const report = gunzipSync(readFileSync(archive)).toString("latin1");
  for (const part of ["TOKEN=<left out>", "caisson_guest_meminfo_bytes", "summary.txt"]) {
    assert.ok(report.includes(part), part);
  }
  assert.ok(!report.includes("SECRET"));
  assert.match(await host.ok(["logs", id]), /^==> console <==\n[\s\S]*==> agent <==\n/);
  await host.ok(["delete", "-f", id]);
});

test("events prints readings and out-of-memory kills until the container ends", async () => {
  using bundle = new Bundle();
  const id = await host.start(bundle);
  await host.ok(["update", "--memory", "16m", "--memory-swap", "16m", id]);
  const patient = host.spawn(["events", "--interval", "1h", id]);
  let told = "";
  patient.stdout?.on("data", (text) => {
    told += text;
  });
  const child = host.spawn(["events", "--interval", "300ms", id]);
  const ended = collect(child);
  let seen = "";
  child.stdout?.on("data", (text) => {
    seen += text;
  });
  await until(() => seen.includes('"type":"stats"'));
  const hog = await host.run(["exec", id, "sh", "-c", "x=0123456789abcdef; while true; do x=$x$x; done"]);
  assert.equal(hog.exitCode, 137);
  await until(() => seen.includes(`{"type":"oom","id":"${id}"}`));
  // Told when it happens, not with the next reading.
  await until(() => told !== "");
  patient.kill("SIGTERM");
  assert.equal(told.split("\n")[0], `{"type":"oom","id":"${id}"}`);
  await host.ok(["kill", id, "KILL"]);
  const { exitCode, stderr } = await ended;
  assert.deepEqual({ exitCode, stderr }, { exitCode: 0, stderr: "" });

  const late = await host.run(["events", "--stats", id]);
  assert.equal(late.exitCode, 1);
  assert.match(errorOf(late), new RegExp(`container with id ${id} is not running`));
  await host.ok(["delete", id]);
  assert.deepEqual(await host.remains(), []);
});

test("events --interval is a duration above zero", async () => {
  for (const interval of ["0s", "5", "-1s", "x"]) {
    const result = await host.run(["events", "--interval", interval, "any"]);
    assert.equal(result.exitCode, 1);
    assert.match(errorOf(result), /is no duration above zero/);
  }
});

test("a start is one trace that continues the caller's, with spans of the guest, and --trace can be drawn", async () => {
  const bodies: string[] = [];
  const collector = createServer(async (request, response) => {
    bodies.push(await text(request));
    response.end();
  }).listen(0, "127.0.0.1");
  await once(collector, "listening");
  const { port } = collector.address() as AddressInfo;
  try {
    using bundle = new Bundle(["true"]);
    const trace = join(bundle.directory, "trace.json");
    const env = {
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`,
      TRACEPARENT: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    };
    await host.ok(["--trace", trace, "run", "--bundle", bundle.directory, host.id()], { env });
    await until(() => bodies.length > 0);
    const [{ scopeSpans }] = JSON.parse(bodies[0] ?? "").resourceSpans;
    const [{ spans }] = scopeSpans;
    const [root] = spans;
    assert.equal(root.name, "caisson run");
    assert.equal(root.parentSpanId, "b7ad6b7169203331");
    const named = new Map<string, { spanId: string; parentSpanId: string }>();
    for (const span of spans) {
      assert.equal(span.traceId, "0af7651916cd43dd8448eb211c80319c");
      assert.ok(BigInt(span.startTimeUnixNano) <= BigInt(span.endTimeUnixNano), span.name);
      named.set(span.name, span);
    }
    for (const name of [
      "daemon: load",
      "VM ready",
      "agent: create sandbox",
      "agent: create container",
      "agent: start container",
    ]) {
      assert.ok(named.has(name), name);
    }
    const waiting = named.get("create container")?.spanId;
    assert.equal(named.get("agent: create container")?.parentSpanId, waiting, "the guest's clock is put right");
    assert.equal(named.get("container-init: set up")?.parentSpanId, named.get("agent: create container")?.spanId);

    assert.ok(Array.isArray(JSON.parse(readFileSync(trace, "utf8"))));
    const drawing = join(bundle.directory, "start.svg");
    await host.ok(["trace", trace, "-o", drawing]);
    assert.match(readFileSync(drawing, "utf8"), /^<svg [\s\S]*VM ready: \d+ ms/);
  } finally {
    collector.close();
    collector.closeAllConnections();
  }
});
