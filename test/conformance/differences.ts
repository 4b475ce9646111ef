import { statfsSync } from "node:fs";
import { tmpdir } from "node:os";

/** The runcs of Debian 12 and 13. Of another one it is not known which of the differences it has. */
const KNOWN_RUNCS = ["1.1.5", "1.1.15"];

/**
 * Where caisson and Debian's runc (on cgroup v1) may answer differently, each with the reason. A test that finds
 * them equal after all fails as well, so no entry outlives its cause.
 */
export const DIFFERENCES: Readonly<Record<string, string>> = {
  "exec: umask": "runc before 1.2 leaves exec'd processes without their umask (config.md, POSIX-platform User)",
  "exec: oomScoreAdj": "runc before 1.2 sets it for the container's first process only",
  "exec: a limit above the container's own":
    "runc lacks CAP_SYS_RESOURCE by then; the agent sets limits as the guest's root",
  "exec: real-time limits": "as above",
  "exec: no PATH": "runc before 1.2 finds no program without PATH; the default of execvp(3) is used here",
  "exec: an impossible oomScoreAdj": "runc ignores it in exec; config.md gives its range",
  "run: a command that is not there": "127 and 126 are what shells and newer engines expect; runc says 1",
  "run: a file that cannot be run": "as above",
  "run: domainname": "runc 1.1 does not know the field, which came with version 1.1 of the specification",
  "run: personality": "runc 1.1 does not know the field",
  "run: a mount below /proc":
    "runc 1.1 lets a tmpfs cover /proc/sys, which takes readonlyPaths out of force (fixed in later ones)",
  "run: file systems of the kernel and their options":
    "a tmpfs that covers a folder has its mode: runc 1.1.15 gives it as an option, which then shows; here it is set afterwards",
};

/** The versions of runc that give these differences; the others come with all of them. */
const ONLY_WITH: Readonly<Record<string, readonly string[]>> = {
  "run: a mount below /proc": ["1.1.5"],
  "run: file systems of the kernel and their options": ["1.1.15"],
};

/** Whether the answers to a case must be the same, must differ, or may do either. */
export function expectation(name: string, runcVersion: string): "same" | "different" | "either" {
  if (DIFFERENCES[name] === undefined) return "same";
  if (!KNOWN_RUNCS.includes(runcVersion)) return "either";
  return (ONLY_WITH[name] ?? KNOWN_RUNCS).includes(runcVersion) ? "different" : "same";
}

/** linux/magic.h */
const TMPFS = 0x01021994;

const NEUTRAL: readonly { what: RegExp; by: string; reason: string }[] = [
  ...(statfsSync(tmpdir()).type === TMPFS
    ? [
        {
          what: / - tmpfs tmpfs rw(?:,size=\d+k,nr_inodes=\d+)?(?:,inode64)?$/gm,
          by: " - shared",
          reason:
            "Debian 13 has a tmpfs on /tmp, where the bundles are: what is bound from there is not told from other ones",
        },
      ]
    : []),
  {
    what: / - (virtiofs (?:none|caisson-share)|ext4|overlay|xfs|btrfs) .*$/gm,
    by: " - shared",
    reason: "the share is virtio-fs, on the host it is whatever is there",
  },
  {
    what: /^(SigIgn:\t0{8})8(0{7})$/gm,
    by: "$10$2",
    reason:
      "signal 32 is the C library's own; whoever started the tests may have left it ignored, which runc passes on",
  },
  { what: /,inode64/g, by: "", reason: "tmpfs names its default only on some kernels" },
  { what: / (shared|master):\d+/g, by: " $1", reason: "peer groups are numbered by each kernel" },
];

/** The text without what differs between any two hosts. */
export function neutral(text: string): string {
  return NEUTRAL.reduce((rest, { what, by }) => rest.replace(what, by), text);
}
