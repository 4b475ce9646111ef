/** Network namespaces as engines make them, and a wire between two. */
import assert from "node:assert/strict";
import { type ExecFileSyncOptionsWithStringEncoding, execFileSync, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import type { Spec } from "../../protocol/oci.ts";
import type { Bundle } from "./bundle.ts";
import { collect, type Result } from "./host.ts";

/**
 * The kernel tells up to a second late that a link has got or lost its carrier, with all that follows from it: flags,
 * states of bridges, routes, addresses of IPv6, which then are tentative for up to two seconds.
 */
const SETTLED_MS = 2500;
const SETTLE_LIMIT_MS = 90_000;
const PAUSE_MS = 200;
/** What it complains of is in the error. ip(8) also does so of what is in /run/netns and is another test's. */
const QUIET: ExecFileSyncOptionsWithStringEncoding = { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] };

/** What is read, once that does not change any more by itself. */
export async function settled(read: () => string): Promise<string> {
  let last = "";
  let since = performance.now();
  for (const end = since + SETTLE_LIMIT_MS; performance.now() < end; await delay(PAUSE_MS)) {
    const now = read();
    if (now !== last || now.includes("tentative")) since = performance.now();
    if (performance.now() - since > SETTLED_MS) return now;
    last = now;
  }
  throw new Error(`it changed all the time, lastly to: ${last}`);
}

/** Waits until that is read, and fails with the difference when it never is. */
export async function becomes(read: () => string, expected: string): Promise<void> {
  for (const end = performance.now() + SETTLE_LIMIT_MS; read() !== expected && performance.now() < end; )
    await delay(PAUSE_MS);
  assert.equal(read(), expected);
}

/** A named network namespace (ip-netns(8)); removed when disposed of, with what is in it. */
export class Netns implements Disposable {
  readonly name = `test-${randomBytes(3).toString("hex")}`;

  /** @param pid of the process whose network namespace it is, in place of a new one. */
  constructor(pid?: number) {
    execFileSync("ip", ["netns", ...(pid === undefined ? ["add", this.name] : ["attach", this.name, String(pid)])]);
    this.ip("link set lo up");
  }

  get path(): string {
    return `/run/netns/${this.name}`;
  }

  /** Runs an `ip` command for each line; what they print. */
  ip(commands: string): string {
    return this.#each(["ip", "-n", this.name], commands);
  }

  /** The same with `tc`. */
  tc(commands: string): string {
    return this.#each(["tc", "-n", this.name], commands);
  }

  /** A veth from here to another namespace, both ends up; `near` and `far` are words for `ip link add`. */
  veth(near: string, to: Netns, far: string): void {
    this.ip(`link add ${near} type veth peer name ${far} netns ${to.name}`);
    this.ip(`link set ${near.split(" ")[0]} up`);
    to.ip(`link set ${far.split(" ")[0]} up`);
  }

  /** Runs a program of the host in it. */
  run(...command: string[]): Promise<Result> {
    return collect(spawn("ip", ["netns", "exec", this.name, ...command], { stdio: ["ignore", "pipe", "pipe"] }));
  }

  /** Everything in it that a sandbox might change, without counters and times. Some of it settles late: see settled(). */
  get state(): string {
    const all = [
      this.ip("-d link show"),
      this.ip("addr show"),
      this.ip("route show table all"),
      this.ip("-6 route show table all"),
      this.tc("qdisc show"),
    ];
    return all.join("").replace(/_timer +[\d.]+/g, "");
  }

  /** The link's state, once that does not change any more by itself. */
  settled(): Promise<string> {
    return settled(() => this.state);
  }

  /** Waits until it is in that state again. */
  returnsTo(state: string): Promise<void> {
    return becomes(() => this.state, state);
  }

  #each([program = "", ...first]: readonly string[], commands: string): string {
    const lines = commands.trim().split(/\s*\n\s*/);
    return lines.map((line) => execFileSync(program, [...first, ...line.split(" ")], QUIET)).join("");
  }

  [Symbol.dispose](): void {
    execFileSync("ip", ["netns", "delete", this.name]);
  }
}

/** Puts the container into that network namespace, or into a new one. */
export function inNamespace(spec: Spec, path: string | undefined): void {
  const others = spec.linux?.namespaces?.filter(({ type }) => type !== "network") ?? [];
  const own = path === undefined ? { type: "network" as const } : { type: "network" as const, path };
  spec.linux = { ...spec.linux, namespaces: [...others, own] };
}

/** Gives a bundle that network namespace, and its process the right to use it freely. */
export function inNetns(bundle: Bundle, path: string | undefined): Bundle {
  const { spec, process } = bundle;
  inNamespace(spec, path);
  for (const set of ["bounding", "effective", "permitted"] as const) {
    process.capabilities?.[set]?.push("CAP_NET_ADMIN", "CAP_NET_RAW");
  }
  return bundle.write();
}
