/** Whether and where starts are traced to: OpenTelemetry's variables, else the settings' keys of the same names. */
import type { TraceParent } from "./traceparent.ts";

export interface OtelSettings {
  /** Where the spans are posted: .../v1/traces. */
  url: string;
  headers: Record<string, string>;
  timeoutMs: number;
  resource: Record<string, string>;
}

/** The settings file's keys. */
export interface OtelKeys {
  otelEndpoint: string | undefined;
  otelHeaders: string | undefined;
}

type Environment = Readonly<Record<string, string | undefined>>;

const DEFAULT_TIMEOUT_MS = 10_000;
const LONGEST_TIMEOUT_MS = 60_000;
const TRACES_PATH = "/v1/traces";

/**
 * Undefined when nothing is traced, which is the default: there is no endpoint, or tracing is switched off by a variable.
 * @param warn is told why an endpoint that there is cannot be used.
 */
export function otelSettings(env: Environment, keys: OtelKeys, warn: (why: string) => void): OtelSettings | undefined {
  const of = (name: string) => env[`OTEL_EXPORTER_OTLP_TRACES_${name}`] ?? env[`OTEL_EXPORTER_OTLP_${name}`];
  const endpoint =
    env["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] || base(env["OTEL_EXPORTER_OTLP_ENDPOINT"] || keys.otelEndpoint);
  if (endpoint === undefined || env["OTEL_SDK_DISABLED"]?.toLowerCase() === "true") return undefined;
  const exporter = env["OTEL_TRACES_EXPORTER"] || "otlp";
  if (exporter !== "otlp" || env["OTEL_TRACES_SAMPLER"] === "always_off") return undefined;
  const refuse = (why: string) => {
    warn(`starts are not traced: ${why}`);
    return undefined;
  };
  if (of("PROTOCOL") === "grpc")
    return refuse("OTEL_EXPORTER_OTLP_PROTOCOL is grpc, and spans are sent by HTTP as JSON");
  if (!/^https?:\/\/[^\s]+$/.test(endpoint) || !URL.canParse(endpoint))
    return refuse(`"${endpoint}" is no address of http or https`);
  const timeout = Number(of("TIMEOUT"));
  return {
    url: endpoint,
    headers: parsePairs(of("HEADERS") ?? keys.otelHeaders),
    timeoutMs: timeout > 0 ? Math.min(timeout, LONGEST_TIMEOUT_MS) : DEFAULT_TIMEOUT_MS,
    resource: { ...parsePairs(env["OTEL_RESOURCE_ATTRIBUTES"]), "service.name": serviceName(env) },
  };
}

/** Whether this start is traced: its caller's word, where there is a caller, else a share of all, as OTEL_TRACES_SAMPLER says. */
export function isSampled(env: Environment, parent: TraceParent | undefined, random = Math.random): boolean {
  const sampler = env["OTEL_TRACES_SAMPLER"] || "parentbased_always_on";
  if (sampler.startsWith("parentbased_") && parent !== undefined) return parent.sampled;
  if (sampler.endsWith("always_off")) return false;
  if (!sampler.endsWith("traceidratio")) return true;
  const ratio = Number(env["OTEL_TRACES_SAMPLER_ARG"] ?? 1);
  return random() < (ratio >= 0 && ratio <= 1 ? ratio : 1);
}

function base(endpoint: string | undefined): string | undefined {
  return endpoint === undefined ? undefined : `${endpoint.replace(/\/+$/, "")}${TRACES_PATH}`;
}

/** The name that an engine was given is the engine's own. */
function serviceName(env: Environment): string {
  const name = env["OTEL_SERVICE_NAME"] ?? "";
  return /caisson/.test(name) ? name : "caisson";
}

/** `key=value,key=value`, percent-encoded (W3C Baggage). What has another form is left out. */
function parsePairs(text: string | undefined): Record<string, string> {
  const pairs = (text ?? "").split(",").map((pair) => /^\s*([^=\s]+)\s*=\s*(.*?)\s*$/.exec(pair));
  return Object.fromEntries(
    pairs.flatMap((pair) => (pair === null ? [] : [[decode(pair[1] ?? ""), decode(pair[2] ?? "")]])),
  );
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
