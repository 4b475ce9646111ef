/** Runs in a jail in QEMU's place and tries what a QEMU that has been taken over would; prints what became of it as JSON. */
import { openSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { createConnection } from "node:net";
import { networkInterfaces } from "node:os";

const { outside, sockets, inherited } = JSON.parse(process.argv[2]);
const results = {};

async function attempt(name, run) {
  try {
    results[name] = { done: String(await run()).slice(0, 2000) };
  } catch (error) {
    results[name] = { failed: error.code ?? String(error) };
  }
}

const tried = (run) => {
  try {
    return run();
  } catch {
    return "";
  }
};

const reached = (options) =>
  new Promise((resolve, reject) => {
    const socket = createConnection(options, () => resolve("connected"));
    socket.on("error", reject);
  });

for (const path of ["/etc/shadow", "/etc/passwd", "/dev/mem", "/dev/kvm", "/dev/urandom", "/root", "/sys/kernel"]) {
  await attempt(`read ${path}`, () => readFileSync(path));
}
const written = [
  "/etc/cron.d/evil",
  "/proc/sys/kernel/core_pattern",
  "/proc/sysrq-trigger",
  "/evil",
  "/usr/lib/evil",
  "/tmp/evil",
];
for (const path of [...written, "/dev/evil", "/proc/self/evil"])
  await attempt(`write ${path}`, () => writeFileSync(path, "x"));
await attempt("signal another", () => process.kill(outside, 0));
await attempt("read the memory of another", () => readFileSync(`/proc/${outside}/maps`));
await attempt("see processes", () => readdirSync("/proc").filter((name) => /^\d+$/.test(name)));
await attempt("see files", () => readdirSync("/"));
for (const path of sockets) await attempt(`connect to ${path}`, () => reached({ path }));
await attempt("connect to the host", () => reached({ host: "127.0.0.1", port: 22 }));
await attempt("see the network", () => Object.keys(networkInterfaces()));
for (const [name, fd] of Object.entries(inherited)) {
  await attempt(`write to ${name}`, () => openSync(`/proc/self/fd/${fd}`, "r+"));
}
const through = (fd, path) => tried(() => readFileSync(`/proc/self/fd/${fd}/${path}/etc/passwd`, "utf8"));
await attempt("go through descriptors", () =>
  readdirSync("/proc/self/fd").filter((fd) => through(fd, ".") !== "" || through(fd, "..") !== ""),
);
await attempt("become root", () => process.setuid(0));
await attempt("join a group", () => process.setgroups([0]));
await attempt(
  "change its limits",
  () => readFileSync("/proc/self/limits", "utf8").match(/Max core file size\s+0\s+0/)[0],
);
await attempt(
  "lock memory",
  () => readFileSync("/proc/self/limits", "utf8").match(/Max locked memory\s+(\d+)\s+\d+/)[1],
);
await attempt("status", () =>
  readFileSync("/proc/self/status", "utf8")
    .match(/^(Cap\w+|NoNewPrivs|Uid|Gid|Groups):.*$/gm)
    .join(";"),
);
await attempt("namespaces", () =>
  ["mnt", "pid", "ipc", "uts", "cgroup", "net"].map((name) => readlinkSync(`/proc/self/ns/${name}`)).join(),
);
console.log(JSON.stringify(results));
