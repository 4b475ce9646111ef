/**
 * The table of what has been run where, in README.md and docs/kubernetes.md: node test/tested/table.ts writes it anew from
 * the places' results; a unit test and so `make test` say when it has not been.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import type { Engine, Facts } from "./facts.ts";
import { type Place, places } from "./place.ts";
import type { Counts } from "./results.ts";

const TOP = resolve(import.meta.dirname, "../..");
const BEGIN = "<!-- written by make tested -->";
const END = "<!-- up to here -->";

interface Row {
  title: string;
  /** Of the tests' files. */
  files: RegExp;
  engine?: Engine;
}

const ROWS: readonly Row[] = [
  { title: "VMs, templates and the jail", files: /^test\/vm\// },
  { title: "commands", files: /^test\/functional\// },
  { title: "beside runc", files: /^test\/conformance\//, engine: "runc" },
  { title: "the main job, step by step", files: /^test\/vsock\// },
  { title: "podman", files: /^test\/engines\/podman/, engine: "podman" },
  { title: "Docker", files: /^test\/engines\/docker/, engine: "docker" },
  {
    title: "containerd: `ctr` and faults",
    files: /^test\/containerd\/(ctr|streams|faults|guest-faults|rootfs)/,
    engine: "containerd",
  },
  {
    title: "containerd: pods by CRI",
    files: /^test\/containerd\/(?!ctr|streams|faults|guest-faults|rootfs)/,
    engine: "containerd",
  },
];

/** Those of Kubernetes' page. */
const POD_ROWS = ROWS.filter(({ engine }) => engine === "containerd");

export const PAGES: readonly { file: string; rows: readonly Row[] }[] = [
  { file: join(TOP, "README.md"), rows: ROWS },
  { file: join(TOP, "docs/kubernetes.md"), rows: POD_ROWS },
];

/** @returns the table, in Markdown; a column for each place, and a row for what was run in any. */
export function table(all: readonly Place[], rows: readonly Row[]): string {
  const ran = rows.filter(({ files }) => all.some((place) => counts(place, files) !== undefined));
  const lines = [
    ["", ...all.map(({ facts }) => facts.system)],
    ["---", ...all.map(() => "---")],
    ["VMs", ...all.map(({ facts }) => machine(facts))],
    ["QEMU; virtiofsd", ...all.map(({ facts }) => `${facts.qemu}; ${facts.virtiofsd}`)],
    ["host's kernel and cgroups", ...all.map(({ facts }) => host(facts))],
    ...ran.map(({ title, files, engine }) => [title, ...all.map((place) => cell(place, files, engine))]),
    ["run last", ...all.map(({ date }) => date)],
  ];
  return lines.map((cells) => `| ${cells.join(" | ")} |\n`).join("");
}

function machine({ accelerator, transport }: Facts): string {
  return `${accelerator === "kvm" ? "KVM" : "emulated"}, ${transport}`;
}

function host({ kernel, cgroups, systemd }: Facts): string {
  return `Linux ${kernel}, ${cgroups}${systemd ? " with systemd" : ""}`;
}

function cell(place: Place, files: RegExp, engine: Engine | undefined): string {
  const sum = counts(place, files);
  if (sum === undefined) return "";
  const { passed, failed, skipped } = sum;
  const version = engine === undefined ? "" : `${place.facts.engines[engine]}: `;
  const parts = [`${passed} passed`, failed > 0 ? `**${failed} failed**` : "", skipped > 0 ? `${skipped} not run` : ""];
  return version + parts.filter((part) => part !== "").join(", ");
}

function counts(place: Place, files: RegExp): Counts | undefined {
  const found = Object.entries(place.files).filter(([name]) => files.test(name));
  if (found.length === 0) return undefined;
  const sum = (field: keyof Counts) => found.reduce((total, [, each]) => total + each[field], 0);
  return { passed: sum("passed"), failed: sum("failed"), skipped: sum("skipped") };
}

/** @returns the page with another table between its marks. @throws Error when it has no marks. */
export function withTable(page: string, markdown: string): string {
  const begin = page.indexOf(BEGIN);
  const end = page.indexOf(END, begin);
  if (begin < 0 || end < 0) throw new Error(`the page has no ${BEGIN} and ${END}`);
  return `${page.slice(0, begin + BEGIN.length)}\n\n${markdown}\n${page.slice(end)}`;
}

if (import.meta.main) {
  for (const { file, rows } of PAGES) {
    writeFileSync(file, withTable(readFileSync(file, "utf8"), table(places(), rows)));
  }
}
