/**
 * `make run`: makes a bundle from Debian's busybox, runs it, and shows what the container sees beside what the host sees.
 * Arguments, if any, are the command to run in place of the tour.
 */
import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { release } from "node:os";
import { join } from "node:path";

const TOUR = [
  'echo "guest kernel:  $(uname -r)"',
  'echo "hostname:      $(hostname)"',
  'echo "user:          $(id -u):$(id -g)"',
  'echo "root:          $(ls / | tr "\\n" " ")"',
  "sleep 60 &",
  'echo "processes:"',
  "ps -o pid,ppid,user,args | cut -c 1-60",
].join("\n");

const CAISSON = "bin/caisson";
const BUNDLE = "out/demo";
const TRACE = "out/demo/trace.json";
const command = process.argv.slice(2);

function title(text: string): void {
  console.log(`\n\u001b[1m== ${text}\u001b[0m`);
}

/** Runs a command with our streams and ends the demo with its status if that is not 0. */
function must(file: string, args: string[]): void {
  const { status, error } = spawnSync(file, args, { stdio: "inherit" });
  if (error) throw error;
  if (status !== 0) process.exit(status ?? 1);
}

title(`make the bundle ${BUNDLE}: a root file system with busybox, and config.json from "caisson spec"`);
if (!existsSync(join(BUNDLE, "rootfs/bin/busybox"))) {
  for (const folder of ["bin", "proc", "sys", "dev", "tmp", "etc"]) {
    mkdirSync(join(BUNDLE, "rootfs", folder), { recursive: true });
  }
  copyFileSync("/bin/busybox", join(BUNDLE, "rootfs/bin/busybox"));
  const applets = spawnSync("/bin/busybox", ["--list"], { encoding: "utf8" }).stdout.trim().split("\n");
  for (const applet of applets) if (applet !== "busybox") symlinkSync("busybox", join(BUNDLE, "rootfs/bin", applet));
  writeFileSync(join(BUNDLE, "rootfs/etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n");
}
rmSync(join(BUNDLE, "config.json"), { force: true });
must(CAISSON, ["spec", "--bundle", BUNDLE]);
const configFile = join(BUNDLE, "config.json");
const config = JSON.parse(readFileSync(configFile, "utf8"));
config.process.args = command.length > 0 ? command : ["sh", "-c", TOUR];
config.process.terminal = process.stdin.isTTY === true && command.length > 0;
writeFileSync(configFile, `${JSON.stringify(config, null, 2)}\n`);
console.log(`args: ${JSON.stringify(config.process.args)}`);

title(`caisson run --bundle ${BUNDLE} demo`);
rmSync(TRACE, { force: true });
console.log(`host kernel:   ${release()}`);
const start = performance.now();
const { status } = spawnSync(CAISSON, ["--trace", TRACE, "run", "--bundle", BUNDLE, `demo-${process.pid}`], {
  stdio: "inherit",
});
const total = performance.now() - start;

interface TraceEvent {
  ph: string;
  name: string;
  cat: string;
  ts: number;
  dur: number;
}
title(`exit status ${status}; ${total.toFixed(0)} ms in all, by phase`);
if (existsSync(TRACE)) {
  const events = JSON.parse(readFileSync(TRACE, "utf8")) as TraceEvent[];
  const spans = events.filter((event) => event.ph === "X").sort((a, b) => a.ts - b.ts);
  const zero = spans[0]?.ts ?? 0;
  for (const { name, cat, ts, dur } of spans) {
    const at = ((ts - zero) / 1000).toFixed(0).padStart(6);
    console.log(`  at ${at} ms  ${(dur / 1000).toFixed(1).padStart(8)} ms  ${cat}: ${name}`);
  }
}
process.exitCode = status ?? 1;
