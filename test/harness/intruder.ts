/** What root in the guest can do to the agent: for tests of what the host makes of that. */
import { CAPABILITIES } from "../../protocol/capabilities.ts";
import { Bundle } from "./bundle.ts";

/** Sets $agent to the agent's pid in the guest. */
const FIND_AGENT = "cd /proc; for each in [0-9]*; do grep -q agent[.]cjs $each/cmdline && agent=$each; done";

/** Writes to the agent's own connection: its descriptor is taken with what the image has for such things. */
const WRITE_GARBAGE = `
const { exports: posix } = ((module) => (process.dlopen(module, "/usr/lib/caisson/native/posix.node"), module))({ exports: {} });
require("node:fs").writeSync(posix.takeFd(Number(process.argv[1]), Number(process.argv[2])), Buffer.alloc(4096, 0xff));
`.replaceAll("\n", " ");

/** Shell scripts, by what they do. */
export const DEEDS = {
  stopAgent: `${FIND_AGENT}; kill -STOP $agent`,
  killAgent: `${FIND_AGENT}; kill -9 $agent`,
  answerGarbage: `${FIND_AGENT}
    for each in $agent/fd/*; do busybox readlink $each | grep -q vport && fd=\${each##*/}; done
    busybox chroot $agent/root /usr/bin/node -e '${WRITE_GARBAGE}' $agent $fd`,
  panic: "echo c > /proc/sysrq-trigger",
} as const;

/** A container with every right, in the guest's own pid namespace, as an attacker who has broken out would be. */
export function intruder(script: string): Bundle {
  const bundle = new Bundle(["sh", "-c", script]);
  const { linux, process } = bundle.spec;
  const namespaces = (linux?.namespaces ?? []).filter(({ type }) => type !== "pid");
  bundle.spec.linux = { ...linux, readonlyPaths: [], maskedPaths: [], namespaces };
  const all = [...CAPABILITIES];
  if (process) process.capabilities = { bounding: all, effective: all, permitted: all };
  return bundle.write();
}
