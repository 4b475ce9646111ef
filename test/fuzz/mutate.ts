/** Changes documents as a careless tool or an attacker would. */
import type { Random } from "./random.ts";

type Container = Record<string, unknown> | unknown[];

/** What breaks readers: other types, the ends of ranges, paths that climb, names of the language's own. */
const VALUES: readonly unknown[] = [
  ...[
    null,
    true,
    false,
    0,
    1,
    -1,
    2,
    7,
    8,
    9,
    63,
    64,
    99,
    1000,
    4095,
    4096,
    65535,
    65536,
    2 ** 31,
    2 ** 32 - 1,
    2 ** 32,
  ],
  ...[
    -1000,
    -1001,
    0.5,
    1e308,
    2 ** 53,
    2n ** 63n,
    2n ** 64n - 1n,
    2n ** 64n,
    -(2n ** 63n),
    [],
    {},
    [[]],
    [null],
    [""],
  ],
  ...[
    "",
    "/",
    ".",
    "..",
    "/..",
    "../../..",
    "/../../etc/passwd",
    "a/../../b",
    "//x//y/",
    "/proc/self/fd/3",
    "/proc/1/root",
  ],
  ...[
    "/proc",
    "/proc/sys",
    "/sys",
    "/dev",
    "/dev/null",
    "/dev/vda",
    "/run/caisson/share",
    "caisson-share",
    "\0",
    "a\0b",
    "\n",
  ],
  ...[
    "ü\ud800",
    "x".repeat(300),
    "x".repeat(5000),
    "bind",
    "rbind",
    "ro",
    "rro",
    "idmap",
    "tmpcopyup",
    "remount",
    "shared",
  ],
  ...[
    "tmpfs",
    "proc",
    "sysfs",
    "cgroup",
    "9p",
    "none",
    "overlay",
    "size=1",
    "mode=0",
    "source=/x",
    "fd=3",
    "=",
    "a=",
    "=b",
  ],
  ...[
    "__proto__",
    "constructor",
    "toString",
    "hasOwnProperty",
    "length",
    "0",
    "-0",
    "0-",
    "0-3,7",
    "3-1",
    "99999",
    "NaN",
  ],
  ...[
    "pid",
    "user",
    "time",
    "mount",
    "network",
    "SCMP_ACT_NOTIFY",
    "CAP_SYS_ADMIN",
    "RLIMIT_NOFILE",
    "2MB",
    "rwm",
    "a",
    "c",
  ],
  ...[
    "kernel.shmmax",
    "net.ipv4.x",
    "net/ipv4/conf/a.b/c",
    "vm.panic",
    "net.../../x",
    "system.slice:a:b",
    "a:b:c",
    "-.slice::x",
  ],
];
const KEYS: readonly string[] = [
  "x",
  "__proto__",
  "constructor",
  "toString",
  "",
  "path",
  "type",
  "options",
  "a.b",
  "\0",
];

/** Changes the document in place, 1 to 4 times. */
export function mutate(document: Record<string, unknown>, random: Random): void {
  for (let count = 1 + random.below(4); count > 0; count--) change(document, random);
}

function change(document: Record<string, unknown>, random: Random): void {
  const holder = descend(document, random);
  const key = keyIn(holder, random);
  switch (random.below(8)) {
    case 0:
      if (Array.isArray(holder)) holder.splice(Number(key), 1);
      else delete holder[key];
      return;
    case 1:
      set(holder, random.of(KEYS), random.of(VALUES));
      return;
    case 2:
      // The same again: lists that must not repeat themselves.
      if (Array.isArray(holder)) holder.push(copy(holder[Number(key)]));
      else set(holder, random.of(Object.keys(holder).concat(KEYS)), copy(get(holder, key)));
      return;
    case 3: {
      // A part of elsewhere.
      const other = descend(document, random);
      set(holder, key, copy(get(other, keyIn(other, random))));
      return;
    }
    case 4: {
      const value = get(holder, key);
      if (typeof value === "string") set(holder, key, splice(value, random));
      else set(holder, key, random.of(VALUES));
      return;
    }
    default:
      set(holder, key, copy(random.of(VALUES)));
  }
}

/** Some object or list of the document. */
function descend(document: Record<string, unknown>, random: Random): Container {
  let holder: Container = document;
  for (;;) {
    const inner = Object.values(holder).filter((value) => typeof value === "object" && value !== null) as Container[];
    if (inner.length === 0 || random.below(5) === 0) return holder;
    holder = random.of(inner);
  }
}

function keyIn(holder: Container, random: Random): string {
  const keys = Object.keys(holder);
  return keys.length === 0 ? (Array.isArray(holder) ? "0" : random.of(KEYS)) : random.of(keys);
}

function get(holder: Container, key: string): unknown {
  return Object.getOwnPropertyDescriptor(holder, key)?.value;
}

/** Sets a member as JSON.parse would: a key "__proto__" is a key like any other. */
function set(holder: Container, key: string, value: unknown): void {
  if (Array.isArray(holder) && !/^\d+$/.test(key)) return;
  if (key !== "__proto__") (holder as Record<string, unknown>)[key] = value;
  else Object.defineProperty(holder, key, { value, writable: true, enumerable: true, configurable: true });
}

function splice(text: string, random: Random): string {
  const at = random.below(text.length + 1);
  const more = random.of(VALUES);
  return text.slice(0, at) + (typeof more === "string" ? more : "") + text.slice(at + random.below(3));
}

/** The text with some of it overwritten, left out or doubled. */
export function mutateText(text: string, random: Random): string {
  const at = random.below(text.length);
  const length = random.below(12);
  const part = text.slice(at, at + length);
  const middle = random.of(["", part + part, '"', "{", "}", "[", ",", ":", "\\", "\0", "1e999", "-", "null", "\u2028"]);
  return text.slice(0, at) + middle + text.slice(at + length);
}

/** A deep copy of a document: structuredClone takes ten times as long. */
export function copy<T>(value: T): T {
  if (Array.isArray(value)) return value.map(copy) as T;
  if (typeof value !== "object" || value === null) return value;
  const result = {};
  for (const [key, item] of Object.entries(value)) set(result, key, copy(item));
  return result as T;
}
