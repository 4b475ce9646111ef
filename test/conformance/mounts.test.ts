/** config.md, Mounts: what is mounted in a container and what cannot be, the same as under runc. */
import { cpSync, mkdirSync, rmdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Bundle } from "../harness/bundle.ts";
import { add, bind, sameForEach, source } from "./subjects.ts";

/** Mount points below /m with their options, propagation and type. */
const MOUNTED = "grep ' /m' /proc/self/mountinfo | cut -d' ' -f5-";

/** Puts a link in the place of a folder of the image. */
function link(bundle: Bundle, name: string, target: string): void {
  rmdirSync(join(bundle.rootfs, name));
  symlinkSync(target, join(bundle.rootfs, name));
}

sameForEach({
  "bind mounts and their options": {
    script: `${MOUNTED}; touch /m/ro/x; touch /m/rw/x && echo written; cat /m/file /m/made/for/it; cat /m/rel/a; echo B > /m/file; cat /m/file`,
    change: (bundle) => {
      const folder = source(bundle);
      add(
        bundle,
        { destination: "/m/ro", type: "bind", source: "src", options: ["bind", "ro"] },
        bind(folder, "/m/rw", "nosuid", "noexec", "nodev"),
        bind(join(folder, "a"), "/m/file"),
        bind(join(folder, "a"), "/m/made/for/it", "ro"),
        bind(folder, "m/rel"),
        bind(folder, "/m/noatime", "noatime", "nosymfollow"),
        bind(folder, "/m/strict", "strictatime", "nodiratime"),
        {
          destination: "/m/rro",
          source: folder,
          options: ["rbind", "rro", "rnosuid", "rnodev", "rnoexec", "rnoatime"],
        },
        { destination: "/m/off", source: folder, options: ["rbind", "ro", "rrw", "rsuid", "rdev", "rexec", "rw"] },
        bind(folder, "/m/later"),
        { destination: "/m/later", options: ["remount", "bind", "ro", "nosuid"] },
        bind(folder, "/m/unbindable", "unbindable"),
        bind(folder, "/m/slave", "rslave"),
        bind(folder, "/m/private", "rprivate"),
        { destination: "/m/shared", source: folder, options: ["rbind", "rshared"] },
      );
    },
  },
  "file systems of the kernel and their options": {
    script: `${MOUNTED}; stat -c '%A %h %u:%g %s %n' /m/tmp /m/up /m/deep/er; ls /m/up; cat /m/up/f`,
    change: (bundle) => {
      mkdirSync(join(bundle.rootfs, "m/up"), { recursive: true, mode: 0o750 });
      writeFileSync(join(bundle.rootfs, "m/up/f"), "image\n");
      add(
        bundle,
        { destination: "/m/tmp", type: "tmpfs", source: "tmpfs", options: ["mode=1777", "size=1m", "uid=5", "gid=6"] },
        { destination: "/m/ro", type: "tmpfs", source: "name", options: ["ro", "noexec", "nosuid"] },
        { destination: "/m/up", type: "tmpfs", source: "tmpfs", options: ["tmpcopyup"] },
        { destination: "/m/flags", type: "tmpfs", source: "tmpfs", options: ["dirsync", "sync", "async", "iversion"] },
        { destination: "/m/deep/er", type: "tmpfs", source: "tmpfs", options: ["mode=0711"] },
      );
    },
  },
  "overlays of the host's directories": {
    script: `${MOUNTED}; cat /m/two/a /m/two/b; echo B > /m/two/a; cat /m/two/a; ls /m/one; touch /m/one/x`,
    change: (bundle) => {
      const folder = source(bundle);
      for (const name of ["other", "upper", "work", "a:b"]) mkdirSync(join(bundle.directory, name));
      writeFileSync(join(bundle.directory, "other/b"), "other\n");
      const at = (name: string) => join(bundle.directory, name);
      const two = [`lowerdir=${folder}:${at("other")}`, `upperdir=${at("upper")}`, `workdir=${at("work")}`, "nosuid"];
      add(
        bundle,
        { destination: "/m/two", type: "overlay", source: "overlay", options: two },
        { destination: "/m/one", type: "overlay", options: [`lowerdir=${folder}:${at("a\\:b")}`, "private", "ro"] },
      );
    },
  },
  "a bind source in the own root that an earlier mount provides": {
    script: `echo made > /a/f; cat /b/f; cat /c; ${MOUNTED}; grep -c ' /b rw,nosuid.* - tmpfs' /proc/self/mountinfo`,
    change: (bundle) => {
      writeFileSync(join(bundle.rootfs, "etc/own"), "own\n");
      add(
        bundle,
        { destination: "/a", type: "tmpfs", source: "tmpfs", options: ["mode=1777"] },
        bind(join(bundle.rootfs, "a"), "/b", "nosuid"),
        bind(join(bundle.rootfs, "etc/own"), "/c", "ro"),
      );
    },
  },
  "a bind mount onto the root": {
    script: "cat /here; ls /; echo x > /tmp/x; cut -d' ' -f5 /proc/self/mountinfo | grep -c '^/$'; pwd",
    change: (bundle) => {
      const other = join(bundle.directory, "other");
      cpSync(bundle.rootfs, other, { recursive: true, verbatimSymlinks: true });
      writeFileSync(join(other, "here"), "the other root\n");
      bundle.spec.mounts?.unshift(bind(other, "/"));
    },
  },
  "links in the image never lead out of the root": {
    script: "ls -R /tmp /abs /run; cat /etc/resolv.conf; cut -d' ' -f5 /proc/self/mountinfo | grep -E 'abs|tmp|resolv'",
    change: (bundle) => {
      const folder = source(bundle);
      symlinkSync("../../../../../tmp/escape", join(bundle.rootfs, "up"));
      symlinkSync("/abs/new", join(bundle.rootfs, "absolute"));
      mkdirSync(join(bundle.rootfs, "run"));
      symlinkSync("/run/rc/resolv.conf", join(bundle.rootfs, "etc/resolv.conf"));
      writeFileSync(join(bundle.rootfs, "tmp/plain"), "");
      add(bundle, bind(folder, "/up"), bind(folder, "/absolute"), bind(join(folder, "a"), "/etc/resolv.conf"));
    },
  },
  "a bind mount of nothing": { script: "true", change: (bundle) => add(bundle, bind("/nowhere/at/all", "/m")) },
  "a file on a folder": { script: "true", change: (bundle) => add(bundle, bind("/etc/passwd", "/tmp")) },
  "an unknown file system": {
    script: "true",
    change: (bundle) => add(bundle, { destination: "/m", type: "nosuchfs", source: "x" }),
  },
  "a wrong file system option": {
    script: "true",
    change: (bundle) => add(bundle, { destination: "/m", type: "tmpfs", source: "x", options: ["size=abc"] }),
  },
  "a mount below /proc": {
    script: "true",
    change: (bundle) => add(bundle, { destination: "/proc/sys", type: "tmpfs", source: "x" }),
  },
  "/proc that is a symbolic link": { script: "true", change: (bundle) => link(bundle, "proc", "tmp") },
  "/sys that is a symbolic link": { script: "true", change: (bundle) => link(bundle, "sys", "../../..") },
  "/dev that is a symbolic link": {
    script: "ls /tmp /dev; echo x > /dev/null",
    change: (bundle) => link(bundle, "dev", "tmp"),
  },
});
