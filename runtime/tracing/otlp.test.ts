import assert from "node:assert/strict";
import { test } from "node:test";
import type { Span } from "../process/spans.ts";
import { isSampled, otelSettings } from "./otel-settings.ts";
import { nest, otlpBody } from "./otlp.ts";
import { newTraceId, parseTraceparent } from "./traceparent.ts";

const NO_KEYS = { otelEndpoint: undefined, otelHeaders: undefined };
const PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

test("parseTraceparent takes what W3C says, and nothing else", () => {
  assert.deepEqual(parseTraceparent(PARENT), {
    traceId: "0af7651916cd43dd8448eb211c80319c",
    spanId: "b7ad6b7169203331",
    sampled: true,
  });
  assert.equal(parseTraceparent(PARENT.replace(/01$/, "00"))?.sampled, false);
  assert.ok(parseTraceparent(`cc${PARENT.slice(2)}-more`));
  const zeros = PARENT.replace("0af7651916cd43dd8448eb211c80319c", "0".repeat(32));
  for (const wrong of [undefined, "", `${PARENT}-more`, `ff${PARENT.slice(2)}`, PARENT.toUpperCase(), zeros]) {
    assert.equal(parseTraceparent(wrong), undefined, wrong);
  }
  assert.match(newTraceId(), /^[0-9a-f]{32}$/);
});

test("otelSettings is off without an endpoint, and where a variable says so", () => {
  const on = { OTEL_EXPORTER_OTLP_ENDPOINT: "http://c:4318/" };
  const warnings: string[] = [];
  const settings = (env: Record<string, string>) => otelSettings(env, NO_KEYS, (why) => warnings.push(why));
  assert.equal(settings({}), undefined);
  assert.equal(settings({ ...on, OTEL_SDK_DISABLED: "true" }), undefined);
  assert.equal(settings({ ...on, OTEL_TRACES_EXPORTER: "none" }), undefined);
  assert.equal(settings({ ...on, OTEL_TRACES_SAMPLER: "always_off" }), undefined);
  assert.deepEqual(warnings, []);
  assert.equal(settings({ ...on, OTEL_EXPORTER_OTLP_PROTOCOL: "grpc" }), undefined);
  assert.equal(settings({ OTEL_EXPORTER_OTLP_ENDPOINT: "c:4318" }), undefined);
  assert.equal(warnings.length, 2);
  assert.deepEqual(settings(on), {
    url: "http://c:4318/v1/traces",
    headers: {},
    timeoutMs: 10_000,
    resource: { "service.name": "caisson" },
  });
});

test("otelSettings reads headers, limits and names; the variables of traces and the environment come first", () => {
  const env = {
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "https://t/x",
    OTEL_EXPORTER_OTLP_HEADERS: "authorization=Bearer%20a, x = y ,bad",
    OTEL_EXPORTER_OTLP_TIMEOUT: "99999999",
    OTEL_RESOURCE_ATTRIBUTES: "deployment.environment=test",
    OTEL_SERVICE_NAME: "containerd",
  };
  assert.deepEqual(otelSettings(env, { otelEndpoint: "http://other", otelHeaders: "z=1" }, assert.fail), {
    url: "https://t/x",
    headers: { authorization: "Bearer a", x: "y" },
    timeoutMs: 60_000,
    resource: { "deployment.environment": "test", "service.name": "caisson" },
  });
  const keys = { otelEndpoint: "http://k:1", otelHeaders: "z=1" };
  const settings = otelSettings({}, keys, assert.fail);
  assert.deepEqual([settings?.url, settings?.headers], ["http://k:1/v1/traces", { z: "1" }]);
});

test("isSampled follows the caller, or a share of all", () => {
  const parent = parseTraceparent(PARENT.replace(/01$/, "00"));
  assert.equal(isSampled({}, parent), false);
  assert.equal(isSampled({}, undefined), true);
  const ratio = { OTEL_TRACES_SAMPLER: "traceidratio", OTEL_TRACES_SAMPLER_ARG: "0.25" };
  assert.equal(
    isSampled(ratio, parent, () => 0.2),
    true,
  );
  assert.equal(
    isSampled(ratio, parent, () => 0.3),
    false,
  );
});

const span = (name: string, startMs: number, endMs: number, component = "daemon"): Span => ({
  component,
  name,
  startMs,
  endMs,
});

test("nest gives each span the shortest one around it", () => {
  const spans = [
    span("root", 0, 100),
    span("VM ready", 20, 60),
    span("agent: create", 30, 50),
    span("create", 60, 90),
    span("in the guest", 60.2, 90.4, "agent"),
  ];
  const nested = nest(spans);
  const parents = nested.map(({ parentId }) => nested.find(({ id }) => id === parentId)?.span.name);
  assert.deepEqual(parents, [undefined, "root", "VM ready", "root", "create"]);
  assert.equal(new Set(nested.map(({ id }) => id)).size, 5);
});

test("nest closes no circle for spans of the same time", () => {
  const nested = nest([span("root", 0, 9), span("a", 1, 2), span("b", 1, 2)]);
  const parents = nested.map(({ parentId }) => nested.find(({ id }) => id === parentId)?.span.name);
  assert.deepEqual(parents, [undefined, "root", "a"]);
});

test("otlpBody continues the caller's trace, and says why a start failed", () => {
  const parent = parseTraceparent(PARENT);
  const trace = {
    traceId: parent?.traceId ?? "",
    parent,
    root: span("caisson run", 1_700_000_000_000.25, 1_700_000_001_000, "caisson"),
    spans: [span("x", 1_700_000_000_500, 1_700_000_000_400)],
    attributes: { "container.id": "c1" },
    error: "no",
  };
  const body = JSON.parse(otlpBody(trace, { "service.name": "caisson" }, "1.0"));
  const [{ resource, scopeSpans }] = body.resourceSpans;
  assert.deepEqual(resource.attributes, [{ key: "service.name", value: { stringValue: "caisson" } }]);
  const [root, child] = scopeSpans[0].spans;
  assert.equal(root.traceId, "0af7651916cd43dd8448eb211c80319c");
  assert.equal(root.parentSpanId, "b7ad6b7169203331");
  assert.equal(root.startTimeUnixNano, "1700000000000250000");
  assert.deepEqual(root.status, { code: 2, message: "no" });
  assert.equal(child.parentSpanId, root.spanId);
  assert.equal(child.endTimeUnixNano, child.startTimeUnixNano);
});
