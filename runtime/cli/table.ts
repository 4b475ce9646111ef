const GAP = 3;
const NARROWEST = 12;

/**
 * Columns as runc aligns them: each as wide as its longest cell plus three spaces, twelve at least; the last one is not
 * padded. Each line ends with a line feed.
 */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const last = header.length - 1;
  const widths = header.map((title, column) =>
    Math.max(NARROWEST, GAP + Math.max(title.length, ...rows.map((row) => (row[column] ?? "").length))),
  );
  const line = (cells: readonly string[]) =>
    cells.map((cell, column) => (column === last ? cell : cell.padEnd(widths[column] ?? 0))).join("");
  return [header, ...rows].map((cells) => `${line(cells)}\n`).join("");
}
