/** Chains of CNI plugins, as engines call them (github.com/containernetworking/cni, SPEC.md 0.4.0). */
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Netns } from "./network.ts";

/** Where Debian's containernetworking-plugins has them. */
const PLUGINS = "/usr/lib/cni";

export function whyNoCni(): string | undefined {
  if (process.getuid?.() !== 0) return "CNI plugins need root";
  return existsSync(join(PLUGINS, "bridge")) ? undefined : "there are no CNI plugins (make test-engines installs them)";
}

interface Plugin {
  type: string;
  [setting: string]: unknown;
}

/** A network that containers of one host are added to; the plugins work in the network namespace `host`. */
export class CniNetwork implements Disposable {
  readonly #folder = mkdtempSync(join(tmpdir(), "caisson-cni-"));
  readonly #host: Netns;
  readonly #plugins: readonly Plugin[];

  /** @param plugins given a folder for what they keep. */
  constructor(host: Netns, plugins: (folder: string) => Plugin[]) {
    this.#host = host;
    this.#plugins = plugins(this.#folder);
  }

  add(netns: Netns): void {
    let result: unknown;
    for (const plugin of this.#plugins) result = JSON.parse(this.#call("ADD", plugin, netns, result));
  }

  remove(netns: Netns): void {
    for (const plugin of this.#plugins.toReversed()) this.#call("DEL", plugin, netns);
  }

  #call(command: "ADD" | "DEL", plugin: Plugin, netns: Netns, prevResult?: unknown): string {
    const input = JSON.stringify({ cniVersion: "0.4.0", name: "test", ...plugin, prevResult });
    const env = {
      ...process.env,
      CNI_COMMAND: command,
      CNI_CONTAINERID: netns.name,
      CNI_NETNS: netns.path,
      CNI_IFNAME: "eth0",
      CNI_PATH: PLUGINS,
    };
    const words = [`--net=${this.#host.path}`, join(PLUGINS, plugin.type)];
    return execFileSync("nsenter", words, { input, env, encoding: "utf8" });
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true });
  }
}
