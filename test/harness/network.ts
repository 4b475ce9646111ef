/** Network namespaces as engines make them, and a wire between two. */
import { execFileSync, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import type { Bundle } from "./bundle.ts";
import { collect, type Result } from "./host.ts";

/** A named network namespace (ip-netns(8)); removed when disposed of, with what is in it. */
export class Netns implements Disposable {
  readonly name = `test-${randomBytes(3).toString("hex")}`;

  constructor() {
    execFileSync("ip", ["netns", "add", this.name]);
    this.ip("link set lo up");
  }

  get path(): string {
    return `/run/netns/${this.name}`;
  }

  /** One `ip` command for each line; what they print. */
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

  /** Everything in it that a sandbox might change, without counters and times. */
  get state(): string {
    return [
      this.ip("-d link show"),
      this.ip("addr show"),
      this.ip("route show table all"),
      this.ip("-6 route show table all"),
      this.tc("qdisc show"),
    ].join("");
  }

  #each([program = "", ...first]: readonly string[], commands: string): string {
    const lines = commands.trim().split(/\s*\n\s*/);
    return lines.map((line) => execFileSync(program, [...first, ...line.split(" ")], { encoding: "utf8" })).join("");
  }

  [Symbol.dispose](): void {
    execFileSync("ip", ["netns", "delete", this.name]);
  }
}

/** Gives a bundle that network namespace, and its process the right to use it freely. */
export function inNetns(bundle: Bundle, path: string | undefined): Bundle {
  const { spec, process } = bundle;
  const others = spec.linux?.namespaces?.filter(({ type }) => type !== "network") ?? [];
  const own = path === undefined ? { type: "network" as const } : { type: "network" as const, path };
  spec.linux = { ...spec.linux, namespaces: [...others, own] };
  for (const set of ["bounding", "effective", "permitted"] as const) {
    process.capabilities?.[set]?.push("CAP_NET_ADMIN", "CAP_NET_RAW");
  }
  return bundle.write();
}
