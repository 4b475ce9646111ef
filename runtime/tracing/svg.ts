import type { Phase, TraceFile } from "./chrome.ts";

const WIDTH = 1200;
const LEFT = 12;
/** Room for the name of a phase that ends at the right edge. */
const RIGHT = 320;
const ROW = 18;
const HEADING = 26;
const TOP = 40;
/** A drawing that somebody looks at; later phases are left out, and that is said. */
const MOST_PHASES = 500;
const MOST_TICKS = 12;
/** Colours of processes, told apart also by those who see no red or green (Okabe and Ito). */
const COLOURS = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00"];

/** The phases of one start as a drawing: a line each, those of a process together, over one axis of time. */
export function drawTrace({ processes, phases }: TraceFile): string {
  const shown = phases.slice(0, MOST_PHASES);
  const begin = Math.min(...shown.map(({ startUs }) => startUs));
  const end = Math.max(...shown.map(({ startUs, durationUs }) => startUs + durationUs));
  const scale = (WIDTH - LEFT - RIGHT) / Math.max(1, end - begin);
  const pids = [...new Set(shown.map(({ process }) => process))];
  const parts: string[] = [];
  let y = TOP;
  for (const [index, pid] of pids.entries()) {
    const name = `${processes.get(pid) ?? "process"} ${pid}`;
    parts.push(text(LEFT, y + HEADING - 8, name, 'font-weight="bold"'));
    y += HEADING;
    const colour = COLOURS[index % COLOURS.length] ?? "#000";
    for (const phase of shown.filter(({ process }) => process === pid)) {
      parts.push(bar(phase, { y, begin, scale, colour }));
      y += ROW;
    }
  }
  if (phases.length > shown.length) {
    y += ROW;
    parts.push(text(LEFT, y, `${phases.length - shown.length} later phases are left out`));
  }
  const height = y + ROW;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" font-family="sans-serif" font-size="12">\n`,
    `<rect width="${WIDTH}" height="${height}" fill="#fff"/>\n`,
    ...axis((end - begin) / 1000, scale * 1000, height),
    ...parts,
    "</svg>\n",
  ].join("");
}

function bar(
  { name, startUs, durationUs }: Phase,
  { y, begin, scale, colour }: { y: number; begin: number; scale: number; colour: string },
): string {
  const x = LEFT + (startUs - begin) * scale;
  const width = Math.max(1, durationUs * scale);
  const label = `${name}: ${milliseconds(durationUs / 1000)}`;
  const position = `x="${fixed(x)}" y="${y}" width="${fixed(width)}" height="${ROW - 4}"`;
  const tip = `${label}, from ${milliseconds((startUs - begin) / 1000)}`;
  return `<rect ${position} fill="${colour}" fill-opacity="0.75"><title>${escapeXml(tip)}</title></rect>\n${text(x + width + 4, y + ROW - 7, label)}`;
}

/** Lines at round times. */
function axis(lengthMs: number, pixelsPerMs: number, height: number): string[] {
  const step = roundStep(lengthMs / MOST_TICKS);
  const lines: string[] = [];
  for (let at = 0; at <= lengthMs; at += step) {
    const x = fixed(LEFT + at * pixelsPerMs);
    lines.push(`<line x1="${x}" y1="${TOP - 12}" x2="${x}" y2="${height}" stroke="#ddd"/>\n`);
    lines.push(text(Number(x) + 2, TOP - 16, milliseconds(at), 'fill="#555"'));
  }
  return lines;
}

/** The least of 1, 2, 5, 10, ... milliseconds that is as long. */
function roundStep(least: number): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(least, 0.001)));
  return (([1, 2, 5, 10] as const).find((factor) => factor * power >= least) ?? 10) * power;
}

function milliseconds(ms: number): string {
  return ms >= 1000 ? `${(ms / 1000).toFixed(2)} s` : `${Number(ms.toFixed(ms < 10 ? 1 : 0))} ms`;
}

function text(x: number, y: number, content: string, attributes = ""): string {
  return `<text x="${fixed(x)}" y="${fixed(y)}"${attributes === "" ? "" : ` ${attributes}`}>${escapeXml(content)}</text>\n`;
}

function fixed(value: number): string {
  return String(Number(value.toFixed(1)));
}

function escapeXml(content: string): string {
  return content
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;")
    .replaceAll(/[^\t\n\u0020-\ud7ff\ue000-\ufffd]/g, "?");
}
