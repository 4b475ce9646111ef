import type { Row } from "./figures.ts";
import { TITLES } from "./figures.ts";
import type { HostFacts } from "./host-facts.ts";
import type { Phase } from "./phases.ts";
import type { Unit } from "./promises.ts";
import { SECTIONS, type Section } from "./things.ts";

const DIGITS: Readonly<Record<Unit, number>> = { s: 3, MiB: 1, "%": 2, "MiB/s": 1, ms: 3, sandboxes: 0 };
const LABEL_WIDTH = 68;
const NUMBER_WIDTH = 9;

/** The whole outcome, for a terminal. */
export function report(facts: HostFacts, rows: readonly Row[], phases: readonly Phase[]): string {
  const sections = (Object.keys(SECTIONS) as Section[]).flatMap((section) => {
    const own = rows.filter(({ thing }) => thing.section === section);
    return own.length === 0 ? [] : ["", head(SECTIONS[section]), ...own.flatMap(rowLines)];
  });
  return [...factLines(facts), ...sections, "", ...phaseLines(phases), "", ...promiseLines(rows), ""].join("\n");
}

/** A figure with the digits that its unit deserves. */
export function figure(value: number, unit: Unit): string {
  return value.toFixed(DIGITS[unit]);
}

function factLines(facts: HostFacts): string[] {
  return [
    `Caisson ${facts.commit}, ${facts.date}`,
    `${facts.processors} x ${facts.processor}, ${facts.memoryGib} GiB, Linux ${facts.kernel}`,
    `QEMU ${facts.qemu} (${facts.machine}, ${facts.accelerator}, ${facts.transport}, ${facts.guestMemoryMib} MiB, ${facts.guestProcessors} vCPU), ` +
      `Node.js ${facts.node}`,
    `compared with: ${facts.rivals.join("; ")}`,
    facts.quiet
      ? `load before: ${facts.load.toFixed(2)}`
      : `load before: ${facts.load.toFixed(2)}: THE MACHINE WAS BUSY, so these figures say little`,
  ];
}

function head(title: string): string {
  const columns = ["min", "median", "max"].map((name) => name.padStart(NUMBER_WIDTH));
  return `${title.padEnd(LABEL_WIDTH)}${columns.join("")}  ${"".padEnd(LONGEST_UNIT)} runs`;
}

const LONGEST_UNIT = Math.max(...Object.keys(DIGITS).map(({ length }) => length));

function rowLines(row: Row): string[] {
  const { thing, by, minimum, median, maximum, runs, ratios, promises } = row;
  const label = `  ${thing.title}: ${TITLES[by]}`.padEnd(LABEL_WIDTH);
  const numbers = [minimum, median, maximum].map((each) => figure(each, thing.unit).padStart(NUMBER_WIDTH)).join("");
  const compared = ratios.map(({ to, times }) => `${times.toPrecision(3)} x ${to}`);
  const promised = promises.map(({ text, kept }) => `${text}: ${kept ? "kept" : "MISSED"}`);
  const notes = [...compared, ...promised].join(", ");
  return [`${label}${numbers}  ${thing.unit.padEnd(LONGEST_UNIT)} ${String(runs).padStart(4)}  ${notes}`.trimEnd()];
}

function phaseLines(phases: readonly Phase[]): string[] {
  const ms = (seconds: number) => (seconds * 1000).toFixed(1).padStart(NUMBER_WIDTH);
  return [
    `${"Phases of a warm run, medians in ms".padEnd(LABEL_WIDTH)}${"from".padStart(NUMBER_WIDTH)}${"takes".padStart(NUMBER_WIDTH)}`,
    ...phases.map(({ name, start, duration }) => `  ${name}`.padEnd(LABEL_WIDTH) + ms(start) + ms(duration)),
  ];
}

function promiseLines(rows: readonly Row[]): string[] {
  const judged = rows.flatMap(({ thing, median, promises }) =>
    promises.map(({ text, value, unit, kept }) => {
      const bound = text.includes("limit") ? `${text}, ${figure(value, unit)} ${unit}` : text;
      return `  ${kept ? "kept  " : "MISSED"} ${thing.title}: ${figure(median, unit)} ${unit}, promised ${bound}`;
    }),
  );
  const missed = rows.flatMap(({ promises }) => promises).filter(({ kept }) => !kept).length;
  return [`Promises (docs/specification.md): ${missed} of ${judged.length} missed`, ...judged];
}
