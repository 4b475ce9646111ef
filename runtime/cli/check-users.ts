/** Whether QEMU's users are nobody else's on this host: one who was could read what another sandbox has, and end it. */
import { readBounded, SMALL_FILE } from "../text/bounded-read.ts";
import type { UidRange } from "../vm/jail/uids.ts";
import type { Finding } from "./check-report.ts";

const SUBJECT = "QEMU's users";
/** passwd(5), group(5): the number is the third field. subuid(5), subgid(5): the first number and how many. */
const FILES = { "/etc/passwd": "one", "/etc/group": "one", "/etc/subuid": "range", "/etc/subgid": "range" } as const;

/** What the range of users and the host's files of users say. A file that cannot be read names nobody. */
export function inspectUsers(range: UidRange, read: (path: string) => string = readText): Finding {
  const taken = Object.entries(FILES).flatMap(([path, kind]) =>
    linesOf(read(path))
      .filter((line) => overlaps(range, parse(line, kind)))
      .map((line) => `${line.split(":", 1)[0]} in ${path}`),
  );
  const users = `${range.first} to ${range.first + range.count - 1}`;
  if (taken.length === 0) return { subject: SUBJECT, status: "ok", found: users };
  return {
    subject: SUBJECT,
    status: "note",
    found: `${users}, and these are others, too: ${taken.slice(0, MOST_NAMED).join(", ")}${taken.length > MOST_NAMED ? ", ..." : ""}`,
    remedy: "Set qemu_uid_first and qemu_uid_count to numbers that nobody else has.",
  };
}

const MOST_NAMED = 5;

function parse(line: string, kind: "one" | "range"): UidRange {
  const [, second, third] = line.split(":");
  return kind === "one" ? { first: Number(third), count: 1 } : { first: Number(second), count: Number(third) };
}

/** False where a number is none. */
function overlaps(one: UidRange, other: UidRange): boolean {
  return other.first < one.first + one.count && one.first < other.first + other.count;
}

function linesOf(text: string): string[] {
  return text.split("\n").filter((line) => line.includes(":"));
}

function readText(path: string): string {
  try {
    return readBounded(path, SMALL_FILE).toString();
  } catch {
    return "";
  }
}
