/**
 * One run: a mutated config.json goes the way of a real one, from the text to the guest's plan. Nothing but a CaissonError
 * may come out of it, and the plan of what is accepted must stay in the container.
 */

import { deviceFilter } from "../../agent/cgroups/devices.ts";
import { cgroupPath } from "../../agent/cgroups/path.ts";
import { resourceSettings } from "../../agent/cgroups/resources.ts";
import { resolveNamespaces } from "../../agent/container/namespaces.ts";
import { encodePlan } from "../../agent/container-init/codec.ts";
import { compileCreate } from "../../agent/plan/plan.ts";
import { CaissonError } from "../../protocol/errors.ts";
import { parseJson, stringifyJson } from "../../protocol/json.ts";
import type { Spec } from "../../protocol/oci.ts";
import { hostCgroupPath } from "../../runtime/cgroup/cgroup.ts";
import { DEFAULTS } from "../../runtime/config/settings.ts";
import { sandboxSize } from "../../runtime/config/size.ts";
import { isBindMount } from "../../runtime/oci/checks/mounts.ts";
import { guestResources } from "../../runtime/oci/guest-resources.ts";
import { findSyntaxProblem } from "../../runtime/oci/json-syntax.ts";
import { normalise } from "../../runtime/oci/normalise.ts";
import { validateConfig } from "../../runtime/oci/validate.ts";
import { corpus } from "./corpus.ts";
import { escapes } from "./escape.ts";
import { copy, mutate, mutateText } from "./mutate.ts";
import { Random } from "./random.ts";

const SHARE = "/run/caisson/share/c";
const DOCUMENTS = corpus();
const TEXTS = DOCUMENTS.map((spec) => stringifyJson(spec));
const BUNDLE = "/bundle";
/** The sandbox has no other containers. */
const NOBODY = { ofContainer: () => undefined, isInit: () => false };
const HOST = { memoryMib: 4096, vcpus: 2 };
/** A configuration takes well below a millisecond; the rest is the machine's. */
const LONGEST_MS = 2000;

export type Outcome = "accepted" | "refused" | "no JSON";

/** @throws Error with the configuration when it breaks a rule. */
export function fuzzConfig(seed: number): Outcome {
  const random = new Random(seed);
  const asText = random.below(8) === 0;
  const text = asText ? mutateText(random.of(TEXTS), random) : "";
  const document = copy(random.of(DOCUMENTS)) as unknown as Record<string, unknown>;
  if (!asText) mutate(document, random);
  const shown = () => (asText ? text : stringifyJson(mutated(seed)));
  const start = performance.now();
  let outcome: Outcome;
  try {
    outcome = asText ? read(text) : judge(document);
  } catch (error) {
    throw new Error(`FUZZ_SEED=${seed} FUZZ_RUNS=1: ${shown()}`, { cause: error });
  }
  const ms = performance.now() - start;
  if (ms > LONGEST_MS) throw new Error(`FUZZ_SEED=${seed} FUZZ_RUNS=1 took ${ms} ms: ${shown()}`);
  return outcome;
}

/** The document of a seed as it was before anything was done with it, which takes parts out. */
function mutated(seed: number): unknown {
  const random = new Random(seed);
  random.below(8);
  const document = copy(random.of(DOCUMENTS)) as unknown as Record<string, unknown>;
  mutate(document, random);
  return document;
}

function read(text: string): Outcome {
  let document: unknown;
  try {
    document = parseJson(text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    if (findSyntaxProblem(text) === undefined) throw new Error("nothing is wrong with the text, and yet it is refused");
    return "no JSON";
  }
  return judge(document);
}

function judge(document: unknown): Outcome {
  try {
    accept(document);
    return "accepted";
  } catch (error) {
    if (!(error instanceof CaissonError)) throw error;
    if (error.code !== "CAISSON_E_CONFIG_INVALID" && error.code !== "CAISSON_E_CONFIG_UNSUPPORTED") throw error;
    return "refused";
  }
}

/** Treats a configuration as the daemon, the share and the agent do. */
function accept(document: unknown): void {
  const { config } = normalise(validateConfig(document, "config.json"), BUNDLE);
  const path = hostCgroupPath("c", config.linux?.cgroupsPath);
  if (!path.startsWith("/") || path.split("/").includes("..") || path === "/") throw new Error(`host's cgroup ${path}`);
  sandboxSize(config, DEFAULTS, HOST);
  const guest = inGuest(config);
  const cgroup = cgroupPath(guest.linux?.cgroupsPath, "s", "c");
  if (cgroup.startsWith("/") || cgroup.split("/").some((name) => name === ".." || name === "")) {
    throw new Error(`guest's cgroup ${cgroup}`);
  }
  const resources = guest.linux?.resources ?? {};
  for (const { file } of resourceSettings(resources, () => undefined)) {
    if (!/^[a-z]+(\.[A-Za-z0-9_]+)+$/.test(file)) throw new Error(`cgroup's file ${file}`);
  }
  deviceFilter(resources.devices ?? []);
  const seccomp = guest.linux?.seccomp === undefined ? undefined : { program: new Uint8Array(8), flags: 0 };
  const input = {
    config: guest,
    rootfs: `${SHARE}/rootfs`,
    cgroupPath: `/sys/fs/cgroup/${cgroup}`,
    rows: 0,
    columns: 0,
  };
  const { steps } = compileCreate({ ...input, seccomp });
  encodePlan(steps);
  for (const problem of escapes(steps, SHARE)) throw new Error(problem);
}

/** Share.addContainer and Sandbox without a host's mounts. */
function inGuest(config: Spec): Spec {
  const mounts = config.mounts?.map((entry, index) =>
    isBindMount(entry) ? { ...entry, source: `${SHARE}/mounts/${index}` } : entry,
  );
  const createContainer = config.hooks?.createContainer?.map((hook, index) => ({
    ...hook,
    path: `${SHARE}/hooks/${index}/hook`,
  }));
  const { linux } = config;
  return {
    ...config,
    root: { ...config.root, path: `${SHARE}/rootfs` },
    ...(mounts && { mounts }),
    ...(config.hooks && { hooks: { ...config.hooks, ...(createContainer && { createContainer }) } }),
    linux: {
      ...linux,
      // The network namespace of the host is the sandbox's own affair; any other path the agent has to know.
      namespaces: resolveNamespaces(linux?.namespaces?.filter(({ type }) => type !== "network") ?? [], NOBODY),
      ...(linux?.resources && { resources: guestResources(linux.resources, HOST.vcpus) }),
    },
  };
}
