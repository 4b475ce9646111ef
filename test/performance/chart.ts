/** Bars as SVG, enough for a bench and nothing more. */

export interface Bar {
  label: string;
  /** Where it begins; at zero unless it is one of a sequence. */
  from?: number;
  value: number;
  /** The spread, drawn as a thin line across the bar's end. */
  range?: { low: number; high: number };
  /** Bounds promised for it. */
  marks?: readonly number[];
  /** Ours are drawn in another colour than what they are compared with. */
  ours: boolean;
}

export interface Panel {
  title: string;
  unit: string;
  bars: readonly Bar[];
}

const WIDTH = 1000;
const LABELS = 380;
const VALUES = 90;
const MARGIN = 20;
const BAR = 14;
const STEP = 20;
const TITLE = 34;
const COLOURS = { ours: "#2f6fb0", others: "#b0b7bf", range: "#1b2733", mark: "#c8351b", text: "#1b2733" };

const LEGEND = "bar: median · line: minimum to maximum · red: promised";

/** An SVG document: panels one below the other, each with a scale of its own that begins at zero. */
export function chart(title: string, subtitle: string, panels: readonly Panel[], legend = LEGEND): string {
  const parts: string[] = [text(MARGIN, 28, title, 18), text(MARGIN, 48, subtitle, 12)];
  let y = 64;
  for (const panel of panels) {
    parts.push(drawPanel(panel, y));
    y += TITLE + panel.bars.length * STEP + MARGIN;
  }
  const height = y + MARGIN;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" font-family="sans-serif">`,
    `<title>${escapeXml(title)}</title>`,
    `<rect width="${WIDTH}" height="${height}" fill="#ffffff"/>`,
    ...parts,
    text(MARGIN, height - 12, legend, 11),
    "</svg>",
    "",
  ].join("\n");
}

function drawPanel({ title, unit, bars }: Panel, top: number): string {
  const reach = (bar: Bar) => Math.max((bar.from ?? 0) + bar.value, bar.range?.high ?? 0, ...(bar.marks ?? []));
  const longest = Math.max(...bars.map(reach), Number.MIN_VALUE);
  const scale = (value: number) => LABELS + (value / longest) * (WIDTH - LABELS - VALUES - MARGIN);
  const lines = bars.map((bar, index) => drawBar(bar, top + TITLE + index * STEP, scale));
  return [text(MARGIN, top + 20, `${title} (${unit})`, 14), ...lines].join("\n");
}

function drawBar(
  { label, from = 0, value, range, marks = [], ours }: Bar,
  y: number,
  scale: (value: number) => number,
) {
  const middle = y + BAR / 2;
  const width = Math.max(scale(from + value) - scale(from), 1);
  const end = Math.max(scale(from + value), scale(range?.high ?? 0));
  return [
    text(LABELS - 8, y + 11, label, 12, "end"),
    rect(scale(from), y, width, BAR, ours ? COLOURS.ours : COLOURS.others),
    ...(range
      ? [rect(scale(range.low), middle - 0.75, Math.max(scale(range.high) - scale(range.low), 1), 1.5, COLOURS.range)]
      : []),
    ...marks.map((mark) => rect(scale(mark) - 1, y - 2, 2, BAR + 4, COLOURS.mark)),
    text(end + 6, y + 11, shortNumber(value), 11),
  ].join("\n");
}

function rect(x: number, y: number, width: number, height: number, fill: string): string {
  const [left, top, wide, high] = [x, y, width, height].map((each) => Number(each.toFixed(1)));
  return `<rect x="${left}" y="${top}" width="${wide}" height="${high}" fill="${fill}"/>`;
}

function text(x: number, y: number, content: string, size: number, anchor: "start" | "end" = "start"): string {
  return `<text x="${Number(x.toFixed(1))}" y="${y}" font-size="${size}" fill="${COLOURS.text}" text-anchor="${anchor}">${escapeXml(content)}</text>`;
}

function escapeXml(content: string): string {
  return content.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

/** Three digits that count, without an exponent. */
function shortNumber(value: number): string {
  return value >= 100 ? value.toFixed(0) : String(Number(value.toPrecision(3)));
}
