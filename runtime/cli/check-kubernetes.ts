import { execFile } from "node:child_process";
import { accessSync, constants, readdirSync } from "node:fs";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { parse } from "smol-toml";
import { readBounded, SMALL_FILE } from "../text/bounded-read.ts";
import type { Finding } from "./check-report.ts";

const SHIM = "containerd-shim-caisson-v2";
const RUNTIME_TYPE = "io.containerd.caisson.v2";
/** Longer than an engine takes to print its version or its configuration. */
const LIMIT_MS = 10_000;
const PLUGIN_FOLDERS = ["/opt/cni/bin", "/usr/lib/cni", "/usr/libexec/cni"];
const NETWORKS_FOLDER = "/etc/cni/net.d";

/** What a node needs beside what containers need: an engine that knows the runtime, and a network for pods. */
export async function inspectNode(): Promise<Finding[]> {
  return [shim(), ...(await engine()), plugins(), networks(), forwarding()];
}

function shim(): Finding {
  const path = (process.env["PATH"] ?? "").split(delimiter).map((folder) => join(folder, SHIM));
  const found = path.find(isExecutable);
  if (found !== undefined) return { subject: "shim", status: "ok", found };
  return {
    subject: "shim",
    status: "failed",
    found: `${SHIM} is not in the PATH`,
    remedy: "Install it where the engine finds it: make install PREFIX=/usr/local.",
  };
}

async function engine(): Promise<Finding[]> {
  const version = await output("containerd", "--version");
  if (version === undefined) return [await crio()];
  const subject = "containerd";
  const major = majorVersion(version);
  const dropIn = `deploy/containerd/caisson-${major === 1 ? 1 : 2}.toml`;
  const remedy = `Import ${dropIn} in /etc/containerd/config.toml and restart containerd.`;
  const dump = await output("containerd", "config", "dump");
  if (dump === undefined) {
    return [
      { subject, status: "failed", found: "its configuration cannot be read", remedy: "Run containerd config dump." },
    ];
  }
  const name = runtimeName(dump);
  if (name === undefined) {
    return [{ subject, status: "failed", found: `${version}, which has no runtime ${RUNTIME_TYPE}`, remedy }];
  }
  return [{ subject, status: "ok", found: `${version}, whose runtime "${name}" this is` }];
}

async function crio(): Promise<Finding> {
  const config = await output("crio", "config");
  if (config === undefined) {
    return {
      subject: "engine",
      status: "failed",
      found: "neither containerd nor CRI-O answers",
      remedy: "Install containerd 1.6 or later, or CRI-O.",
    };
  }
  if (config.includes(SHIM)) return { subject: "CRI-O", status: "ok", found: `its configuration names ${SHIM}` };
  return {
    subject: "CRI-O",
    status: "failed",
    found: `its configuration does not name ${SHIM}`,
    remedy: "Copy deploy/cri-o/50-caisson.conf to /etc/crio/crio.conf.d/ and restart CRI-O.",
  };
}

/** The major version in what `containerd --version` prints, "containerd NAME v1.6.20 REVISION" or without the v. */
export function majorVersion(text: string): number | undefined {
  const major = /\bv?(\d+)\.\d+/.exec(text)?.[1];
  return major === undefined ? undefined : Number(major);
}

/**
 * The name under which the CRI plugin has our runtime, in a configuration of containerd (version 2 or 3); undefined when it
 * has none, or when the text is no TOML.
 */
export function runtimeName(config: string): string | undefined {
  let parsed: unknown;
  try {
    parsed = parse(config, { integersAsBigInt: "asNeeded" });
  } catch {
    return undefined;
  }
  for (const plugin of ["io.containerd.grpc.v1.cri", "io.containerd.cri.v1.runtime"]) {
    const runtimes = at(parsed, "plugins", plugin, "containerd", "runtimes") ?? {};
    for (const [name, runtime] of Object.entries(runtimes)) {
      if (at(runtime, "runtime_type") === RUNTIME_TYPE) return name;
    }
  }
  return undefined;
}

function at(value: unknown, ...keys: readonly string[]): unknown {
  let found = value;
  for (const key of keys) found = (found as Record<string, unknown> | null | undefined)?.[key];
  return found;
}

function plugins(): Finding {
  const subject = "CNI plugins";
  const folder = PLUGIN_FOLDERS.find((each) => entries(each).includes("bridge"));
  if (folder !== undefined) return { subject, status: "ok", found: folder };
  return {
    subject,
    status: "note",
    found: `none in ${PLUGIN_FOLDERS.join(", ")}`,
    remedy: "Install the cluster's network, or containernetworking-plugins.",
  };
}

function networks(): Finding {
  const subject = "CNI network";
  const [first] = entries(NETWORKS_FOLDER).filter((name) => /\.(?:conf|conflist|json)$/.test(name));
  if (first !== undefined) return { subject, status: "ok", found: join(NETWORKS_FOLDER, first) };
  return {
    subject,
    status: "note",
    found: `none in ${NETWORKS_FOLDER}`,
    remedy: "The cluster's network puts one there; without it pods get no address.",
  };
}

function forwarding(): Finding {
  const subject = "IP forwarding";
  const on = text("/proc/sys/net/ipv4/ip_forward").trim() === "1";
  if (on) return { subject, status: "ok", found: "on" };
  return {
    subject,
    status: "note",
    found: "off",
    remedy: "sysctl -w net.ipv4.ip_forward=1, so that pods reach each other.",
  };
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function entries(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    return [];
  }
}

function text(path: string): string {
  try {
    return readBounded(path, SMALL_FILE).toString();
  } catch {
    return "";
  }
}

/** What a command prints; undefined when it is not there or fails. */
async function output(command: string, ...args: readonly string[]): Promise<string | undefined> {
  try {
    const { stdout } = await promisify(execFile)(command, args, { timeout: LIMIT_MS });
    return stdout.trim();
  } catch {
    return undefined;
  }
}
