/** Process lists in the form of ps(1), whose -o columns and -f layout these are. */
import { CaissonError } from "../../protocol/errors.ts";
import type { ContainerProcess } from "../control/protocol.ts";
import { closest } from "../text/closest.ts";

/** The text for these processes; `nowMs` decides how a start time is written. */
export type ShowProcesses = (processes: readonly ContainerProcess[], nowMs: number) => string;

interface Column {
  header: string;
  /** 0: as wide as it needs to be, the last column only. */
  width: number;
  right: boolean;
  cell(process: ContainerProcess, nowMs: number): string;
}

const DAY_MS = 86_400_000;
const NS_PER_SECOND = 1_000_000_000n;

const right = (header: string, width: number, cell: Column["cell"]): Column => ({ header, width, right: true, cell });
const left = (header: string, width: number, cell: Column["cell"]): Column => ({ header, width, right: false, cell });

const uid: Column["cell"] = (process) => String(process.uid);
const user: Column["cell"] = (process) => (process.uid === 0 ? "root" : String(process.uid));
const command: Column["cell"] = (process) => process.command;
const started: Column["cell"] = (process, nowMs) => startTime(process.startedAt, nowMs);

const COLUMNS: Record<string, Column> = {
  pid: right("PID", 5, ({ pid }) => String(pid)),
  ppid: right("PPID", 5, ({ parentPid }) => String(parentPid)),
  uid: right("UID", 5, uid),
  user: left("USER", 8, user),
  c: right("C", 2, (process, nowMs) => String(usedPercent(process, nowMs))),
  pcpu: right("%CPU", 4, (process, nowMs) => usedPercent(process, nowMs).toFixed(1)),
  stime: left("STIME", 5, started),
  etime: right("ELAPSED", 11, (process, nowMs) => elapsed(Math.max(0, Math.floor((nowMs - process.startedAt) / 1000)))),
  tty: left("TTY", 8, ({ tty }) => tty),
  time: right("TIME", 8, ({ cpuNs }) => cpuTime(cpuNs)),
  bsdtime: right("TIME", 6, ({ cpuNs }) => bsdTime(cpuNs)),
  bsdstart: left("START", 6, started),
  stat: left("STAT", 4, ({ stat }) => stat),
  vsz: right("VSZ", 6, ({ virtualKib }) => String(virtualKib)),
  rss: right("RSS", 5, ({ residentKib }) => String(residentKib)),
  pmem: right("%MEM", 4, ({ memoryPermille }) => (memoryPermille / 10).toFixed(1)),
  args: left("COMMAND", 0, command),
  comm: left("COMMAND", 15, ({ command }) => programName(command)),
};

/** Other names that ps(1) has for the same. */
const ALIASES: Record<string, string> = {
  euid: "uid",
  euser: "user",
  uname: "user",
  "%cpu": "pcpu",
  "%mem": "pmem",
  start: "bsdstart",
  vsize: "vsz",
  rssize: "rss",
  start_time: "stime",
  tt: "tty",
  tname: "tty",
  cputime: "time",
  cmd: "args",
  command: "args",
  ucmd: "comm",
  ucomm: "comm",
};
const HEADERS: Record<string, string> = { cmd: "CMD", ucmd: "CMD", tt: "TT", euid: "EUID", euser: "EUSER" };

const FULL: readonly Column[] = [
  left("UID", 8, user),
  ...["pid", "ppid", "c", "stime", "tty", "time"].map((name) => COLUMNS[name] as Column),
  left("CMD", 0, command),
];

/**
 * How to show a process list, by ps's own options: nothing, `-ef` and the like for its full layout, `ax`, `-x` and `aux`
 * for those of BSD's ps (without the environment, which `e` would show there), `-o pid,args` for columns of one's choice.
 * @throws CaissonError CAISSON_E_USAGE for an option or column that it does not have.
 */
export function processTable(options: readonly string[]): ShowProcesses {
  const columns = options.length === 0 ? FULL : parseOptions(options);
  return (processes, nowMs) =>
    [
      columns.map(({ header }) => header),
      ...processes.map((process) => columns.map(({ cell }) => cell(process, nowMs))),
    ]
      .map((cells) => `${line(cells, columns)}\n`)
      .join("");
}

const named = (names: readonly string[]): Column[] => names.map((name) => COLUMNS[name] as Column);
/** What `x` and `u` choose: the formats of BSD's ps. */
const BSD = [...named(["pid", "tty", "stat", "bsdtime"]), left("COMMAND", 0, command)];
const BSD_USER = [
  ...named(["user", "pid", "pcpu", "pmem", "vsz", "rss", "tty", "stat"]),
  left("START", 5, started),
  ...named(["bsdtime"]),
  left("COMMAND", 0, command),
];

function parseOptions(options: readonly string[]): readonly Column[] {
  const chosen: Column[] = [];
  let full = false;
  let bsd = "";
  const rest = [...options];
  for (let option = rest.shift(); option !== undefined; option = rest.shift()) {
    // Every process of the container is listed anyway: -e, -A, -a and x choose what is shown on a host.
    const letters = /^-?([eAaxfuw]*)(o?)(.*)$/.exec(option);
    if (letters === null || (letters[2] === "" && letters[3] !== "")) throw unknownOption(option);
    full ||= option.startsWith("-") && (letters[1] ?? "").includes("f");
    if (!option.startsWith("-") || /[xu]/.test(letters[1] ?? "")) bsd += letters[1];
    if (letters[2] === "") continue;
    const list = letters[3] || rest.shift();
    if (list === undefined) throw unknownOption(option);
    chosen.push(...list.split(/[ ,]+/).map(parseColumn));
  }
  if (chosen.length > 0) return chosen;
  // ps reads all options as BSD's once one of them is.
  if (bsd !== "") return bsd.includes("u") ? BSD_USER : BSD;
  return full ? FULL : ["pid", "tty", "time"].map(parseColumn).concat(parseColumn("ucmd"));
}

function parseColumn(text: string): Column {
  const [word = "", header] = text.split("=", 2);
  const name = word.toLowerCase();
  const column = COLUMNS[ALIASES[name] ?? name];
  if (column === undefined || !Object.hasOwn(COLUMNS, ALIASES[name] ?? name)) {
    const near = closest(name, [...Object.keys(COLUMNS), ...Object.keys(ALIASES)]);
    throw new CaissonError("CAISSON_E_USAGE", `ps: there is no column "${word}"`, {
      remedy: `${near === undefined ? "" : `Did you mean "${near}"? `}Known are ${Object.keys(COLUMNS).join(", ")}.`,
    });
  }
  return { ...column, header: header ?? HEADERS[name] ?? column.header };
}

function unknownOption(option: string): CaissonError {
  return new CaissonError("CAISSON_E_USAGE", `ps: the option "${option}" is not supported`, {
    remedy: "The processes run in a VM, where the host's ps cannot look: use -ef, aux, or -o with a list of columns.",
  });
}

function line(cells: readonly string[], columns: readonly Column[]): string {
  return cells
    .map((cell, at) => {
      const { width = 0, right = false } = columns[at] ?? {};
      if (right) return cell.padStart(width);
      return at === columns.length - 1 ? cell : cell.padEnd(width);
    })
    .join(" ");
}

function programName(command: string): string {
  const bracketed = /^\[(.*)\]$/.exec(command);
  const name = bracketed?.[1] ?? command.split(" ", 1)[0]?.split("/").at(-1) ?? "";
  // The kernel keeps 15 bytes of it (proc_pid_comm(5)).
  return name.slice(0, 15);
}

function usedPercent({ cpuNs, startedAt }: ContainerProcess, nowMs: number): number {
  const aliveMs = Math.max(nowMs - startedAt, 1000);
  return Math.min(99, Math.floor(Number(BigInt(cpuNs) / 1_000_000n) / (aliveMs / 100)));
}

function cpuTime(cpuNs: string): string {
  return clock(Number(BigInt(cpuNs) / NS_PER_SECOND));
}

/** minutes:seconds. */
function bsdTime(cpuNs: string): string {
  const seconds = Number(BigInt(cpuNs) / NS_PER_SECOND);
  return `${Math.floor(seconds / 60)}:${twoDigits(seconds % 60)}`;
}

function clock(seconds: number): string {
  return [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60].map(twoDigits).join(":");
}

/** [[days-]hours:]minutes:seconds. */
function elapsed(seconds: number): string {
  const days = Math.floor(seconds / 86_400);
  const time = clock(seconds % 86_400);
  if (days > 0) return `${days}-${time}`;
  return seconds < 3600 ? time.slice(3) : time;
}

/** The hour within a day, else the date. */
function startTime(startedAt: number, nowMs: number): string {
  const date = new Date(startedAt);
  if (nowMs - startedAt < DAY_MS) return [date.getHours(), date.getMinutes()].map(twoDigits).join(":");
  const month = date.toLocaleString("en", { month: "short" });
  return `${month}${twoDigits(date.getDate())}`;
}

function twoDigits(number: number): string {
  return String(number).padStart(2, "0");
}
