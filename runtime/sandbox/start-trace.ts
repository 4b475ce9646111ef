/** A trace of OpenTelemetry for the start of a sandbox. Loaded where one is wanted. */
import type { Socket } from "node:net";
import { callersPlace } from "../process/callers.ts";
import { startedAt } from "../process/clock.ts";
import { collectSpans, type Span, type SpanCollector } from "../process/spans.ts";
import { spawnSelf } from "../process/spawn-self.ts";
import { watchPhases } from "../process/trace.ts";
import { log } from "../text/log.ts";
import type { OtelSettings } from "../tracing/otel-settings.ts";
import { otlpBody } from "../tracing/otlp.ts";
import { newTraceId, type TraceParent } from "../tracing/traceparent.ts";

/** What is to be traced. */
export interface TracedStart {
  /** The sandbox's id, and its container's. */
  id: string;
  /** What was asked for: "caisson run". */
  name: string;
  /** Unix milliseconds of when it was. */
  askedMs: number;
  parent: TraceParent | undefined;
}

declare const CAISSON_VERSION: string | undefined;

const VERSION = typeof CAISSON_VERSION === "string" ? CAISSON_VERSION : "development";

const MOST_SPANS = 200;
/** A container that is created and not started for so long is traced as it is. */
const LIMIT_MS = 60_000;

/** The phases of this process from now on until end(). */
export class StartTrace implements SpanCollector {
  readonly #start: TracedStart;
  readonly #settings: OtelSettings;
  readonly #connection: Socket;
  readonly #spans: Span[] = [];
  readonly #unwatch: () => void;
  readonly #limit = setTimeout(() => this.end(), LIMIT_MS).unref();
  readonly #end = () => this.end();
  #ended = false;

  /** Begins it. What sends the spans is started now, since later this process is in the sandbox's cgroup and network. */
  constructor(start: TracedStart, settings: OtelSettings) {
    this.#start = start;
    this.#settings = settings;
    const { url, headers, timeoutMs } = settings;
    const exporter = spawnSelf("export-trace", { url, headers, timeoutMs }, "ignore", callersPlace());
    const { connection } = exporter;
    exporter.unref();
    connection.on("error", () => log.warning("the start's trace could not be handed over"));
    connection.unref();
    this.#connection = connection;
    const origin = startedAt();
    this.#spans.push({ component: "daemon", name: "daemon: load", startMs: origin, endMs: Date.now() });
    this.#unwatch = watchPhases((name, from, to) => {
      const component = name.startsWith("VM: ") ? "qemu" : "daemon";
      this.add({ component, name, startMs: origin + from, endMs: origin + to });
    });
    collectSpans(this);
    process.once("exit", this.#end);
  }

  add(span: Span): void {
    if (this.#spans.length < MOST_SPANS) this.#spans.push(span);
  }

  /** Ends it, and has it sent. May be called again. @param error why the start failed. */
  end(error?: string): void {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#limit);
    this.#unwatch();
    collectSpans(undefined);
    process.removeListener("exit", this.#end);
    const { id, name, askedMs, parent } = this.#start;
    const endMs = Math.max(...this.#spans.map((span) => span.endMs));
    const trace = {
      traceId: parent?.traceId ?? newTraceId(),
      parent,
      root: { component: "caisson", name, startMs: askedMs, endMs },
      spans: this.#spans,
      attributes: { "container.id": id },
      error,
    };
    this.#connection.end(otlpBody(trace, this.#settings.resource, VERSION));
  }
}
