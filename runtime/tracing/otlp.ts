/** Spans as OTLP's JSON (opentelemetry.io, "OTLP/HTTP", protobuf's JSON with ids in hexadecimal). */
import type { Span } from "../process/spans.ts";
import { newSpanId, type TraceParent } from "./traceparent.ts";

export interface StartTrace {
  traceId: string;
  parent: TraceParent | undefined;
  /** The whole start; all others are in it. */
  root: Span;
  spans: readonly Span[];
  attributes: Readonly<Record<string, string>>;
  /** Why the start failed. */
  error?: string | undefined;
}

const INTERNAL = 1;
const STATUS_ERROR = 2;
/** How well the guest's clock is known. */
const SLACK_MS = 5;
const GUEST_COMPONENTS: ReadonlySet<string> = new Set(["agent", "container-init"]);

/** The body of a request. @param version of this program. */
export function otlpBody(trace: StartTrace, resource: Readonly<Record<string, string>>, version: string): string {
  const nested = nest([trace.root, ...trace.spans]);
  const spans = nested.map(({ span, id, parentId }) => ({
    traceId: trace.traceId,
    spanId: id,
    ...(parentId === undefined
      ? trace.parent !== undefined && { parentSpanId: trace.parent.spanId }
      : { parentSpanId: parentId }),
    name: span.name,
    kind: INTERNAL,
    startTimeUnixNano: nanoseconds(span.startMs),
    endTimeUnixNano: nanoseconds(Math.max(span.startMs, span.endMs)),
    attributes: attributes({ "caisson.component": span.component, ...(parentId === undefined && trace.attributes) }),
    ...(parentId === undefined &&
      trace.error !== undefined && { status: { code: STATUS_ERROR, message: trace.error } }),
  }));
  const scope = { name: "caisson", version };
  return JSON.stringify({
    resourceSpans: [{ resource: { attributes: attributes(resource) }, scopeSpans: [{ scope, spans }] }],
  });
}

interface Nested {
  span: Span;
  id: string;
  parentId: string | undefined;
}

/** Gives each span but the first the shortest one for a parent that it lies in, or the first. */
export function nest(spans: readonly Span[]): Nested[] {
  const nested: Nested[] = spans.map((span) => ({ span, id: newSpanId(), parentId: undefined }));
  const [root] = nested;
  for (const [index, each] of nested.entries()) {
    if (index === 0 || root === undefined) continue;
    const around = nested
      .filter(
        (other, at) =>
          at !== index && contains(other.span, each.span) && (isLonger(other.span, each.span) || at < index),
      )
      .sort((a, b) => length(a.span) - length(b.span));
    each.parentId = (around[0] ?? root).id;
  }
  return nested;
}

/** What is in the guest lies in what waits for it on the host, whose clock is another one; never the other way round. */
function contains(outer: Span, inner: Span): boolean {
  if (isInGuest(outer) && !isInGuest(inner)) return false;
  const slack = isInGuest(inner) && !isInGuest(outer) ? SLACK_MS : 0;
  return outer.startMs <= inner.startMs + slack && outer.endMs >= inner.endMs - slack;
}

function isLonger(outer: Span, inner: Span): boolean {
  return length(outer) > length(inner) || (isInGuest(inner) && !isInGuest(outer));
}

function isInGuest({ component }: Span): boolean {
  return GUEST_COMPONENTS.has(component);
}

function length({ startMs, endMs }: Span): number {
  return endMs - startMs;
}

function nanoseconds(ms: number): string {
  return `${BigInt(Math.round(ms * 1000)) * 1000n}`;
}

function attributes(values: Readonly<Record<string, string>>): unknown[] {
  return Object.entries(values).map(([key, stringValue]) => ({ key, value: { stringValue } }));
}
