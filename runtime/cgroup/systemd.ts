/**
 * Cgroups on a host whose systemd looks after them: each is a unit, a scope below slices, and systemd is asked to make it
 * (systemd.io/CGROUP_DELEGATION, systemd.scope(5), systemd.slice(5)).
 */
import { existsSync, readFileSync } from "node:fs";
import { posix } from "node:path";
import { CaissonError } from "../../protocol/errors.ts";
import { pause } from "../text/pause.ts";

/** How engines name a scope in `linux.cgroupsPath`: slice:prefix:name. */
const FORM = /^([^/:]*):([^/:]*):([^/:]+)$/;
const SLICE = /^[\w\\@.-]+\.slice$/;

const CALL_LIMIT_MS = 10_000;
/** How long systemd may take to move us once it has taken the job. */
const MOVE_LIMIT_MS = 10_000;
const MOVE_PAUSE_MS = 5;

/** Whether the path of `linux.cgroupsPath` is in systemd's form. */
export function isSystemdForm(cgroupsPath: string): boolean {
  return FORM.test(cgroupsPath);
}

/**
 * The folder of the scope that a `slice:prefix:name` means, below the hierarchies' roots; the slice is system.slice when
 * empty, as for runc.
 * @throws CaissonError CAISSON_E_CONFIG_INVALID for what is no such name.
 */
export function scopePath(cgroupsPath: string): string {
  const [, slice = "", prefix = "", name = ""] = FORM.exec(cgroupsPath) ?? [];
  const parent = slice === "" ? "system.slice" : slice;
  if (name === "" || name.includes("..") || !SLICE.test(parent) || parent.startsWith(".")) {
    throw new CaissonError(
      "CAISSON_E_CONFIG_INVALID",
      `linux.cgroupsPath: "${cgroupsPath}" is not of the form slice:prefix:name that systemd's cgroups have`,
      { field: "linux.cgroupsPath", remedy: 'Give for example "system.slice:caisson:my-container".' },
    );
  }
  const unit = name.endsWith(".slice") ? name : `${prefix === "" ? "" : `${prefix}-`}${name}.scope`;
  return posix.join("/", slicePath(parent), unit);
}

/** A slice's name says where it is: a-b.slice is in a.slice, -.slice is the root. */
function slicePath(slice: string): string {
  const parts = slice.slice(0, -".slice".length).split("-");
  if (parts.every((part) => part === "")) return "";
  return parts.map((_part, index) => `${parts.slice(0, index + 1).join("-")}.slice`).join("/");
}

/** Whether systemd would have to be asked for the cgroup: it runs this host (sd_booted(3)), and the path is a scope's. */
export function isSystemdsOwn(path: string, booted = existsSync("/run/systemd/system")): boolean {
  return booted && path.endsWith(".scope") && sliceOf(path) !== undefined;
}

function sliceOf(path: string): string | undefined {
  const parent = posix.dirname(path);
  if (parent === "/") return "-.slice";
  return parent.endsWith(".slice") ? posix.basename(parent) : undefined;
}

/** The call of systemd's manager that makes the scope of a path with one process in it, as busctl(1) takes it. */
export function scopeCall(path: string, pid: number): string[] {
  const properties = [
    ["Description", "s", "caisson sandbox"],
    ["Slice", "s", sliceOf(path) ?? "system.slice"],
    // Below it we do as we like (Delegate), also in hierarchies that systemd itself has no use for.
    ["Delegate", "b", "true"],
    ["DefaultDependencies", "b", "false"],
    ["CollectMode", "s", "inactive-or-failed"],
    ["PIDs", "au", "1", String(pid)],
  ];
  return [
    ...["call", "org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager"],
    ...["StartTransientUnit", "ssa(sv)a(sa(sv))", posix.basename(path), "fail"],
    ...[String(properties.length), ...properties.flat(), "0"],
  ];
}

/**
 * Has systemd make the scope of that path and move this process into it. It ends when its last process has.
 * @throws CaissonError CAISSON_E_CGROUP when systemd will not, or takes too long.
 */
export function joinScope(path: string, busctl = "busctl", own = "/proc/self/cgroup"): void {
  try {
    const { execFileSync } = process.getBuiltinModule("node:child_process");
    execFileSync(busctl, scopeCall(path, process.pid), { timeout: CALL_LIMIT_MS, stdio: ["ignore", "ignore", "pipe"] });
  } catch (cause) {
    const said = (cause as { stderr?: Buffer }).stderr?.toString().trim() ?? "";
    throw refused(path, said === "" ? (cause as Error).message : said, cause);
  }
  for (const end = performance.now() + MOVE_LIMIT_MS; !isIn(path, own); pause(MOVE_PAUSE_MS)) {
    if (performance.now() > end) throw refused(path, `the process was not moved within ${MOVE_LIMIT_MS / 1000} s`);
  }
}

/** The text has a line for each hierarchy: `0::/system.slice/x.scope` (cgroups(7)). */
function isIn(path: string, own: string): boolean {
  return readFileSync(own, "utf8")
    .split("\n")
    .some((line) => line.split(":").slice(2).join(":") === path);
}

function refused(path: string, why: string, cause?: unknown): CaissonError {
  return new CaissonError("CAISSON_E_CGROUP", `systemd did not make the scope ${path}: ${why}`, {
    field: "linux.cgroupsPath",
    remedy: "See the journal for why, or use the engine's cgroupfs manager.",
    ...(cause !== undefined && { cause }),
  });
}
