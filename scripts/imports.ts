/**
 * Checks that imports run only downward (docs/design.md, section 4) and never in a circle, of files or of
 * folders, types included. Prints each breach as `file: imports file: reason` and exits 1 if there is one.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";

/** Bottom first: a file may import from its own layer and from those before it. */
const LAYERS: readonly (readonly string[])[] = [
  ["protocol"],
  ["native"],
  ["runtime/text"],
  ["runtime/process"],
  ["runtime/oci", "runtime/ttrpc", "runtime/metrics", "runtime/tracing"],
  ["runtime/config", "runtime/state"],
  ["runtime/control"],
  ["runtime/vm"],
  ["runtime/network"],
  ["runtime/storage"],
  ["runtime/guest/agent"],
  ["runtime/guest/stdio", "runtime/guest/sockets", "runtime/guest/volumes"],
  ["runtime/guest"],
  ["runtime/cgroup"],
  ["runtime/factory"],
  ["runtime/snapshot"],
  ["runtime/sandbox/spec"],
  ["runtime/sandbox"],
  ["runtime/daemon"],
  ["runtime/exporter"],
  ["runtime/collect"],
  ["runtime/cli", "runtime/shim"],
  ["runtime/operator.ts", "runtime/vm-starters.ts"],
  ["runtime/main.ts"],
];
/** Trees that see only what is named: the guest's side, and the build. */
const APART: Readonly<Record<string, readonly string[]>> = {
  agent: ["protocol", "native", "agent"],
  "guest-image": ["protocol", "guest-image"],
};
const CHECKED = ["protocol", "native", "runtime", "agent", "guest-image"];

function sources(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".ts") && !entry.name.endsWith(".test.ts"))
    .map((entry) => join(entry.parentPath, entry.name));
}

function importsOf(file: string): string[] {
  const found = readFileSync(file, "utf8").matchAll(
    /^\s*(?:import|export)\b[^;]*?from\s+"(\.[^"]+)"|\bimport\(\s*"(\.[^"]+)"\s*\)/gm,
  );
  return [...found].map((match) => normalize(join(dirname(file), (match[1] ?? match[2]) as string)));
}

/** A folder may stand in another layer than the one that it is in. */
function layerOf(file: string): number {
  const within = LAYERS.flat().filter((name) => file === name || file.startsWith(`${name}/`));
  const closest = within.toSorted((a, b) => b.length - a.length)[0];
  return closest === undefined ? -1 : LAYERS.findIndex((names) => names.includes(closest));
}

const breaches: string[] = [];
const graph = new Map<string, string[]>();
for (const file of CHECKED.flatMap(sources)) {
  const imports = importsOf(file);
  graph.set(file, imports);
  const apart = APART[file.split("/")[0] as string];
  for (const target of imports) {
    if (apart !== undefined) {
      if (!apart.some((name) => target.startsWith(`${name}/`)))
        breaches.push(`${file}: imports ${target}: not for this tree`);
    } else if (layerOf(target) < 0 || layerOf(file) < 0) {
      breaches.push(`${file}: imports ${target}: ${layerOf(file) < 0 ? "the importer" : "it"} stands in no layer`);
    } else if (layerOf(target) > layerOf(file)) {
      breaches.push(`${file}: imports ${target}: that is upward`);
    }
  }
}

/** The starting points of programs: what they import of their own folder does not make a circle with what imports that. */
const ENTRIES = ["runtime/main.ts", "runtime/operator.ts", "runtime/vm-starters.ts", "agent/start.ts", "agent/main.ts"];

function folderOf(file: string): string {
  return ENTRIES.includes(file) ? file : dirname(file);
}

function folders(files: ReadonlyMap<string, readonly string[]>): Map<string, Set<string>> {
  const found = new Map<string, Set<string>>();
  for (const [file, imports] of files) {
    const folder = folderOf(file);
    const others = found.get(folder) ?? new Set();
    for (const target of imports.map(folderOf)) if (target !== folder) others.add(target);
    found.set(folder, others);
  }
  return found;
}

/** Depth-first search; a node met again on the current path closes a circle. */
function addCircles(graph: ReadonlyMap<string, Iterable<string>>): void {
  const done = new Set<string>();
  const visit = (node: string, path: string[]): void => {
    if (path.includes(node)) {
      breaches.push(`circle: ${[...path.slice(path.indexOf(node)), node].join(" -> ")}`);
      return;
    }
    if (done.has(node)) return;
    for (const target of graph.get(node) ?? []) visit(target, [...path, node]);
    done.add(node);
  };
  for (const node of graph.keys()) visit(node, []);
}
addCircles(graph);
addCircles(folders(graph));

for (const breach of breaches) console.error(breach);
console.log(`imports: ${graph.size} files, ${breaches.length} breaches`);
process.exitCode = breaches.length > 0 ? 1 : 0;
