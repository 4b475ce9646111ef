import { type Bar, chart, type Panel } from "./chart.ts";
import { type Row, TITLES } from "./figures.ts";
import type { HostFacts } from "./host-facts.ts";
import type { Phase } from "./phases.ts";
import { SECTIONS } from "./things.ts";

/** The chart of an outcome: a panel for each section and unit, and one for the phases of a start. */
export function picture(facts: HostFacts, rows: readonly Row[], phases: readonly Phase[]): string {
  const groups = Map.groupBy(rows, ({ thing }) => `${SECTIONS[thing.section]}\0${thing.unit}`);
  const panels = [...groups].map(([key, members]): Panel => {
    const [title = "", unit = ""] = key.split("\0");
    return { title, unit, bars: members.map(barOf) };
  });
  const sequence: Panel = {
    title: "Phases of a warm run",
    unit: "ms",
    bars: phases.map(({ name, start, duration }) => ({
      label: name,
      from: start * 1000,
      value: duration * 1000,
      ours: true,
    })),
  };
  const subtitle =
    `${facts.commit}, ${facts.date.slice(0, 10)}, ${facts.processors} x ${facts.processor}, ` +
    `QEMU ${facts.qemu} ${facts.accelerator}, load before ${facts.load.toFixed(2)}`;
  return chart("Caisson, measured", subtitle, [...panels, sequence]);
}

function barOf({ thing, by, minimum, median, maximum, promises }: Row): Bar {
  return {
    label: `${thing.title}: ${by === "limit" ? "the limit" : TITLES[by]}`,
    value: median,
    range: { low: minimum, high: maximum },
    marks: promises.map(({ value }) => value),
    ours: by === "caisson",
  };
}
