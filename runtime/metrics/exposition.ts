/** Prometheus' text format 0.0.4 (prometheus.io, "Exposition formats"). */
import { BOUNDS, type HistogramValue } from "./histogram.ts";

export const CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8";

export type Labels = Readonly<Record<string, string>>;

interface Family {
  type: "counter" | "gauge" | "histogram";
  help: string;
  lines: string[];
}

const NAME = /^[a-z][a-z0-9_]*$/;
/** The longest label value that is shown. */
const LONGEST_VALUE = 253;

/** Gathers samples, and writes them by families. */
export class Exposition {
  readonly #families = new Map<string, Family>();

  /** What only grows; its name ends in _total. */
  counter(name: string, help: string, value: number, labels: Labels = {}): void {
    this.#family("counter", name, help).lines.push(sample(name, labels, value));
  }

  gauge(name: string, help: string, value: number, labels: Labels = {}): void {
    this.#family("gauge", name, help).lines.push(sample(name, labels, value));
  }

  /** Of seconds, with the bounds of BOUNDS. */
  histogram(name: string, help: string, { buckets, sum }: HistogramValue, labels: Labels = {}): void {
    const { lines } = this.#family("histogram", name, help);
    let below = 0;
    for (const [index, count] of buckets.entries()) {
      below += count;
      lines.push(sample(`${name}_bucket`, { ...labels, le: String(BOUNDS[index] ?? "+Inf") }, below));
    }
    lines.push(sample(`${name}_sum`, labels, sum), sample(`${name}_count`, labels, below));
  }

  /** The names of all families that have been given a sample. */
  get names(): string[] {
    return [...this.#families.keys()];
  }

  text(): string {
    const parts = [...this.#families].map(
      ([name, { type, help, lines }]) =>
        `# HELP ${name} ${escapeHelp(help)}\n# TYPE ${name} ${type}\n${lines.join("")}`,
    );
    return parts.join("");
  }

  #family(type: Family["type"], name: string, help: string): Family {
    if (!NAME.test(name)) throw new RangeError(`"${name}" is no name of a metric`);
    let family = this.#families.get(name);
    if (family === undefined) {
      family = { type, help, lines: [] };
      this.#families.set(name, family);
    }
    if (family.type !== type) throw new RangeError(`the metric ${name} is a ${family.type} already`);
    return family;
  }
}

function sample(name: string, labels: Labels, value: number): string {
  const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escapeValue(text)}"`);
  return `${name}${pairs.length === 0 ? "" : `{${pairs.join(",")}}`} ${number(value)}\n`;
}

function number(value: number): string {
  if (Number.isNaN(value)) return "NaN";
  if (value === Number.POSITIVE_INFINITY) return "+Inf";
  return value === Number.NEGATIVE_INFINITY ? "-Inf" : String(value);
}

function escapeValue(text: string): string {
  return text.slice(0, LONGEST_VALUE).replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll('"', '\\"');
}

function escapeHelp(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
}
