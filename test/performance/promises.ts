/** The numeric promises of docs/specification.md, read from its first table so that they are written in one place. */

export type Unit = "s" | "MiB" | "%" | "MiB/s" | "ms" | "sandboxes";

/** An upper bound of the median. */
export interface Bound {
  /** The promise as the specification words it. */
  text: string;
  value: number;
  unit: Unit;
}

export interface Promised {
  what: string;
  /** The bounds that hold on a machine whose bare clone takes `limitSeconds`. */
  bounds: (limitSeconds: number) => Bound[];
}

/** Number, unit, and for a bound that holds only on fast machines, how fast. */
const FIGURE = /^([\d.]+) (s|minutes|MiB|%)(?: of one core)?(?: where the limit is ([\d.]+) s or less)?$/;
const MULTIPLE = /^on any machine ([\d.]+) x the limit$/;

/**
 * The rows of the table of promises in docs/specification.md.
 * @throws SyntaxError for a promise that is worded in a way not known here.
 */
export function parsePromises(markdown: string): Promised[] {
  const lines = markdown.split("\n");
  const header = lines.findIndex((line) => /^\| what +\| promised /.test(line));
  if (header < 0) throw new SyntaxError("The specification has no table that begins with: what, promised.");
  const end = lines.findIndex((line, index) => index > header && !line.startsWith("|"));
  return lines.slice(header + 2, end < 0 ? undefined : end).map((line) => {
    const [what = "", promised = ""] = line
      .split("|")
      .slice(1)
      .map((cell) => cell.trim());
    return { what, bounds: parseBounds(promised) };
  });
}

/**
 * The one promise whose wording begins so.
 * @throws RangeError when there is none, or more than one.
 */
export function promiseOf(promises: readonly Promised[], beginning: string): Promised {
  const found = promises.filter(({ what }) => what.startsWith(beginning));
  if (found.length !== 1) throw new RangeError(`The specification has ${found.length} promises on: ${beginning}`);
  return found[0] as Promised;
}

function parseBounds(promised: string): Promised["bounds"] {
  if (promised === "the machine's own") return () => [];
  const parts = promised.split("; ").map(parseBound);
  return (limit) => parts.map((bound) => bound(limit)).filter((bound) => bound !== undefined);
}

function parseBound(text: string): (limitSeconds: number) => Bound | undefined {
  const [, times] = MULTIPLE.exec(text) ?? [];
  if (times !== undefined)
    return (limit) => ({ text: `${times} x the limit`, value: Number(times) * limit, unit: "s" });
  const [, number, unit, fastest] = FIGURE.exec(text) ?? [];
  if (number === undefined || unit === undefined) throw new SyntaxError(`Not a known kind of promise: ${text}`);
  const bound: Bound =
    unit === "minutes"
      ? { text, value: Number(number) * 60, unit: "s" }
      : { text: `${number} ${unit}`, value: Number(number), unit: unit as Unit };
  if (fastest === undefined) return () => bound;
  return (limit) => (limit <= Number(fastest) ? bound : undefined);
}
