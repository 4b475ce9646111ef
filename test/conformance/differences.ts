/**
 * Where caisson and Debian's runc (1.1.5, on cgroup v1) may answer differently, each with the reason. A test that finds
 * them equal after all fails as well, so no entry outlives its cause.
 */
export const DIFFERENCES: Readonly<Record<string, string>> = {
  "exec: umask": "runc before 1.2 leaves exec'd processes without their umask (config.md, POSIX-platform User)",
  "exec: oomScoreAdj": "runc before 1.2 sets it for the container's first process only",
  "exec: a limit above the container's own":
    "runc lacks CAP_SYS_RESOURCE by then; the agent sets limits as the guest's root",
  "exec: real-time limits": "as above",
  "exec: no PATH": "runc before 1.2 finds no program without PATH; the default of execvp(3) is used here",
  "exec: a command that is not there": "127 and 126 are what shells and newer engines expect; runc says 255",
  "exec: a path that is not there": "as above",
  "exec: a file that cannot be run": "as above",
  "exec: a folder": "as above",
  "exec: an impossible oomScoreAdj": "runc ignores it in exec; config.md gives its range",
  "run: a command that is not there": "127 and 126 are what shells and newer engines expect; runc says 1",
  "run: a file that cannot be run": "as above",
  "run: domainname": "runc 1.1 does not know the field, which came with version 1.1 of the specification",
  "run: personality": "runc 1.1 does not know the field",
  "run: a mount below /proc":
    "runc 1.1 lets a tmpfs cover /proc/sys, which takes readonlyPaths out of force (fixed in later ones)",
};

const NEUTRAL: readonly { what: RegExp; by: string; reason: string }[] = [
  {
    what: / - (9p caisson-(?:share|live)|ext4|overlay|xfs|btrfs) .*$/gm,
    by: " - shared",
    reason: "the share is 9p, on the host it is whatever is there",
  },
  {
    what: /^(\S+ r[wo](?:,nosuid)?),nodev((?:,noexec)?\S*.* - shared)$/gm,
    by: "$1$2",
    reason: "devices never work on the share: they would be the host's",
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
