/** config.md and config-linux.md: what a container is made of beside its mounts, the same as under runc. */
import { chmodSync, chownSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Linux, NamespaceType } from "../../protocol/oci.ts";
import type { Bundle } from "../harness/bundle.ts";
import { add, bind, sameForEach, source } from "./subjects.ts";

/**
 * What a program may expect of a file system; ends with what has come of it, and leaves nothing. busybox's head copies what it prints; cat
 * gives its pipe the file's own pages (sendfile(2)), in which the reader finds what a later truncate has left of them.
 */
const DISK = [
  "mkdir disk; cd disk",
  // Links, names, times.
  "echo one > a; ln a b; stat -c '%h %s' a; echo two > b; head a; rm a; stat -c %h b; ln -s no/where l; readlink l; head l",
  "touch -d '2001-02-03 04:05:06' b; stat -c %Y b; n=$(printf %0255d 0); echo > $n && ls | grep -c $n; echo > 1$n; rm $n",
  // Directories.
  "mkdir -p d/e; rmdir d; mv d d/e/x; touch d/f; mv d/f d/e; ls d d/e; mv b d/e/f; head d/e/f; mv d/e/f b",
  // Sizes and holes.
  "truncate -s 3 b; head b; echo; truncate -s 8 b; od -c b; echo end | dd of=h bs=1 seek=1000000 2>&1 | grep -c .; stat -c %s h",
  "dd if=/dev/zero of=z bs=64k count=16 conv=fsync 2>&1 | grep -c .; cmp -n 1048576 z /dev/zero && stat -c %s z",
  // What is open outlives its name.
  "exec 3<>u; echo kept >&3; rm u; head /proc/self/fd/3; stat -L -c '%h %s' /proc/self/fd/3; exec 3>&-; ls u",
  // Owners and modes.
  "chmod 6755 b; stat -c %a b; chown 12:34 b; stat -c '%u:%g %a' b; echo x >> b; stat -c %a b; mkdir -m 2770 g; chown 5:6 g; touch g/f; stat -c %g g/f",
  "cd ..; rm -r disk; ls",
].join("; ");

function linux(bundle: Bundle): Linux {
  return bundle.spec.linux as Linux;
}

function without(bundle: Bundle, ...types: NamespaceType[]): void {
  linux(bundle).namespaces = linux(bundle).namespaces?.filter(({ type }) => !types.includes(type)) ?? [];
}

sameForEach({
  "files belong to who made them": {
    script:
      "for place in /tmp /m; do cd $place && touch f && mkdir d && ln -s f l && mkfifo p && cp /bin/busybox b && chmod 4755 b; stat -c '%n %a %u:%g' *; touch given/x; stat -c %u:%g given/x; echo more >> f; chown 0 f; touch root && chmod 600 root; touch /etc/x; done",
    change: (bundle) => {
      const folder = source(bundle);
      for (const place of [join(bundle.rootfs, "tmp"), folder]) {
        chmodSync(place, 0o1777);
        mkdirSync(join(place, "given"));
        chownSync(join(place, "given"), 7, 1235);
        chmodSync(join(place, "given"), 0o2775);
        writeFileSync(join(place, "root"), "");
      }
      bundle.process.user = { uid: 1234, gid: 1235 };
      add(bundle, bind(folder, "/m"));
    },
  },
  "files are a disk's": {
    // The two runtimes have the volume at the same time.
    script: `for place in /tmp /m; do cd $(mktemp -d $place/XXXXXX); ${DISK}; done`,
    change: (bundle) => {
      chmodSync(join(bundle.rootfs, "tmp"), 0o777);
      for (const applet of ["touch", "truncate", "mv", "rmdir", "dd", "chown", "cmp", "od", "mktemp", "head"])
        if (!existsSync(join(bundle.rootfs, "bin", applet))) symlinkSync("busybox", join(bundle.rootfs, "bin", applet));
      const capabilities = ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER"];
      bundle.process.capabilities = { bounding: capabilities, effective: capabilities, permitted: capabilities };
      add(bundle, bind(source(bundle), "/m"));
    },
  },
  "special files on the root file system": {
    script:
      "mkfifo -m 640 /tmp/f; (echo through > /tmp/f &); cat /tmp/f; chmod 604 /tmp/f; stat -c '%F %a' /tmp/f; rm /tmp/f; ls /tmp",
  },
  "a read-only root": {
    script: "touch /x; touch /tmp/x; touch /dev/shm/x && echo shm; mkdir /y; pwd",
    change: (bundle) => {
      bundle.spec.root = { path: "rootfs", readonly: true };
      bundle.process.cwd = "/made/for/it";
    },
  },
  "masked and read-only paths": {
    script: "ls /root /etc; cat /etc/secret; touch /tmp/x; touch /etc/y; echo 1 > /proc/sys/vm/swappiness",
    change: (bundle) => {
      writeFileSync(join(bundle.rootfs, "etc/secret"), "s");
      writeFileSync(join(bundle.rootfs, "root/file"), "s");
      linux(bundle).maskedPaths = ["/etc/secret", "/root", "/not/there"];
      linux(bundle).readonlyPaths = ["/tmp", "/not/there", "/proc/sys"];
    },
  },
  "devices by default and by configuration": {
    script:
      "stat -c '%n %F %t:%T %a %u:%g' /dev/* /dev/x/y; readlink /dev/fd /dev/stdin /dev/stdout /dev/stderr /dev/ptmx; echo w > /dev/x/y && echo usable; cat /dev/loop9",
    change: (bundle) => {
      linux(bundle).devices = [
        { path: "/dev/fuse", type: "c", major: 10, minor: 229, fileMode: 0o640, uid: 3, gid: 4 },
        { path: "/dev/x/y", type: "c", major: 1, minor: 3, fileMode: 0o622 },
        { path: "/dev/pipe", type: "p", fileMode: 0o600 },
        { path: "/dev/loop9", type: "b", major: 7, minor: 9 },
      ];
    },
  },
  "devices without a file system on /dev": {
    script:
      "ls /dev; stat -c '%n %F %t:%T' /dev/null /dev/zero /dev/odd; echo x > /dev/null && echo usable; head -c 3 /dev/odd | wc -c",
    change: (bundle) => {
      bundle.spec.mounts = bundle.spec.mounts?.filter(({ destination }) => !destination.startsWith("/dev"));
      linux(bundle).devices = [{ path: "/dev/odd", type: "c", major: 1, minor: 5, fileMode: 0o640 }];
    },
  },
  "the host's /dev": {
    script:
      "echo x > /dev/null && echo usable; head -c 3 /dev/zero | wc -c; stat -c '%n %F %t:%T' /dev/null /dev/tty /dev/urandom; head -c 0 /dev/fuse; grep -q ' /dev/pts ' /proc/self/mountinfo && echo pts",
    change: (bundle) => {
      bundle.spec.mounts = bundle.spec.mounts?.filter(({ destination }) => !destination.startsWith("/dev"));
      add(bundle, { destination: "/dev", type: "bind", source: "/dev", options: ["rbind"] });
    },
  },
  "rules for devices": {
    script:
      "cat /dev/kmsg2 > /dev/null && echo read; head -c 0 /dev/control && echo opened; echo x > /dev/control; echo x > /dev/odd && echo written; mknod /tmp/z c 1 5 && echo made; cat /dev/odd",
    change: (bundle) => {
      const capabilities = ["CAP_MKNOD"];
      bundle.process.capabilities = { bounding: capabilities, effective: capabilities, permitted: capabilities };
      linux(bundle).devices = [
        { path: "/dev/odd", type: "c", major: 10, minor: 200 },
        { path: "/dev/control", type: "c", major: 10, minor: 237 },
      ];
      linux(bundle).resources = {
        devices: [
          { allow: false, access: "rwm" },
          { allow: true, type: "c", major: 1, minor: 5, access: "m" },
          // Letters that are none of the three mean nothing.
          { allow: true, type: "c", major: 10, minor: 237, access: "ra" },
        ],
      };
    },
  },
  "a user namespace": {
    script:
      "id -u; cat /proc/self/uid_map /proc/self/gid_map; stat -c %u:%g /bin /tmp; touch /tmp/x && stat -c %u:%g /tmp/x; echo x > /dev/null && echo usable; cat /proc/sys/kernel/hostname; grep Cap /proc/self/status",
    change: (bundle) => {
      const mapping = [
        { containerID: 0, hostID: 0, size: 1 },
        { containerID: 1, hostID: 100000, size: 1000 },
      ];
      linux(bundle).namespaces?.push({ type: "user" });
      Object.assign(linux(bundle), { uidMappings: mapping, gidMappings: mapping });
    },
  },
  "only the namespaces it must have": {
    script: "readlink /proc/self/ns/uts | cut -c1-4; test $$ -gt 1 && echo shared; hostname",
    change: (bundle) => {
      without(bundle, "pid", "ipc", "uts", "cgroup");
      bundle.spec.hostname = undefined;
      const types = ["mqueue", "cgroup"];
      bundle.spec.mounts = bundle.spec.mounts?.filter(({ type = "" }) => !types.includes(type));
    },
  },
  "kernel parameters of its namespaces": {
    script:
      "cd /proc/sys; cat kernel/shmmax kernel/msgmax net/ipv4/ip_forward fs/mqueue/msg_max net/ipv4/ping_group_range",
    change: (bundle) => {
      linux(bundle).sysctl = {
        "kernel.shmmax": "123456",
        "kernel/msgmax": "9000",
        "net.ipv4.ip_forward": "1",
        "fs.mqueue.msg_max": "20",
        "net.ipv4.ping_group_range": "0 5",
      };
    },
  },
  hostname: { script: "hostname; uname -n", change: (bundle) => Object.assign(bundle.spec, { hostname: "a.b" }) },
  domainname: {
    script: "cat /proc/sys/kernel/domainname",
    change: (bundle) => Object.assign(bundle.spec, { domainname: "d.e" }),
  },
  personality: {
    script: "uname -m",
    change: (bundle) => Object.assign(linux(bundle), { personality: { domain: "LINUX32" } }),
  },
  "a command that is not there": { script: "", change: (bundle) => Object.assign(bundle.process, { args: ["nope"] }) },
  "a file that cannot be run": { script: "", change: (bundle) => Object.assign(bundle.process, { args: ["/etc"] }) },
  "the exit status": { script: "echo out; echo err >&2; exit 3" },
  "a parameter of the whole kernel": {
    script: "true",
    change: (bundle) => Object.assign(linux(bundle), { sysctl: { "vm.swappiness": "1" } }),
  },
  "a parameter that is not there": {
    script: "true",
    change: (bundle) => Object.assign(linux(bundle), { sysctl: { "net.ipv4.nope": "1" } }),
  },
  "no mount namespace": { script: "true", change: (bundle) => without(bundle, "mount") },
});
