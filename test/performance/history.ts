/** Draws docs/history.svg: what `make bench` has found over the versions, by docs/history.json. A new version gets a value for each figure there. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { chart, type Panel } from "./chart.ts";

interface Figure {
  title: string;
  unit: string;
  /** What it is to reach, where something is asked. */
  asked?: number;
  /** Medians by version, the oldest first. */
  values: Record<string, number>;
}

const DOCS = join(import.meta.dirname, "../../docs");
export const HISTORY = join(DOCS, "history.json");
export const PICTURE = join(DOCS, "history.svg");

/** The picture of a history, as SVG. */
export function drawHistory(history: string): string {
  const { figures } = JSON.parse(history) as { figures: Figure[] };
  const panels = figures.map(({ title, unit, asked, values }): Panel => {
    const versions = Object.entries(values);
    const bars = versions.map(([label, value], index) => ({
      label,
      value,
      marks: asked === undefined ? [] : [asked],
      ours: index === versions.length - 1,
    }));
    return { title, unit, bars };
  });
  return chart("Caisson over its versions", "medians of make bench, 2 processors without KVM", panels, "red: asked");
}

if (import.meta.main) writeFileSync(PICTURE, drawHistory(readFileSync(HISTORY, "utf8")));
