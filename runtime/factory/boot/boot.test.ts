import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  closeSync,
  constants,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { execa } from "execa";
import type { Machine } from "../../vm/machine.ts";
import type { VmSpec } from "../../vm/spec.ts";
import { startMachine } from "../../vm/start-machine.ts";
import { bootMachine } from "./boot.ts";

/**
 * A VM whose QEMU is a shell script: as started by machine.ts it has the agent's socket as 3, the monitor as 4 and the
 * console as 5.
 */
function pretend(context: TestContext, script: string): VmSpec {
  const folder = mkdtempSync(join(tmpdir(), "caisson-boot-"));
  context.after(() => rmSync(folder, { recursive: true }));
  chmodSync(folder, 0o755);
  const path = join(folder, "qemu");
  // QEMU cannot make files: it sees what is there, for reading only.
  execFileSync("mkfifo", ["-m", "666", join(folder, "runs")]);
  const runs = openSync(join(folder, "runs"), constants.O_RDWR | constants.O_NONBLOCK);
  context.after(() => closeSync(runs));
  RUNS.set(folder, runs);
  writeFileSync(path, `#!/bin/sh\necho run >${folder}/runs\n${script}\n`);
  chmodSync(path, 0o755);
  writeFileSync(join(folder, "image"), "");
  return {
    qemu: { path, version: [7, 2, 0], files: ["/bin", "/lib", "/lib64", "/usr", folder] },
    machine: "microvm",
    accelerator: "tcg",
    memoryMib: 1,
    ceilingMib: 1,
    vcpus: 1,
    mostVcpus: 1,
    kernel: join(folder, "image"),
    initrd: join(folder, "image"),
    image: join(folder, "image"),
    kernelParams: [],
    transport: "virtio-serial",
    networks: [],
    passed: [],
    users: { first: 2_000_000_000, count: 65_536 },
    consoleLog: join(folder, "console.log"),
  };
}

/** Where each fake QEMU says that it runs, by its folder. */
const RUNS = new Map<string, number>();
const runs = (spec: VmSpec) => {
  const buffer = Buffer.alloc(4096);
  return buffer.toString("latin1", 0, readSync(RUNS.get(dirname(spec.image)) ?? -1, buffer)).split("\n").length - 1;
};
const openDescriptors = () => readdirSync("/proc/self/fd").length;
/** Node closes a destroyed socket in a later turn of its loop. */
async function descriptorsAre(count: number): Promise<void> {
  for (let tries = 0; openDescriptors() > count && tries < 3000; tries++) await sleep(10);
  assert.ok(openDescriptors() <= count, `${openDescriptors()} descriptors are open, more than ${count}`);
}
const firstBytes = (machine: Machine) =>
  new Promise<string>((resolve) => machine.agent.once("data", (data) => resolve(String(data))));
const GREET = `echo '{"QMP": {}}' >&4; read -r command <&4; echo '{"return": {}, "id": 1}' >&4`;
const options = () => ({ signal: new AbortController().signal, limitMs: 60_000 });

test("bootMachine returns the VM and what its agent said", async (context) => {
  const spec = pretend(context, `${GREET}; echo hello >&3; exec sleep 100`);
  const before = openDescriptors();
  const { machine, value } = await bootMachine(spec, firstBytes, options());
  assert.equal(value, "hello\n");
  assert.equal(existsSync(`/proc/${machine.pid}`), true);
  await machine.kill();
  await machine.kill();
  assert.equal((await machine.died).reason, "killed");
  assert.equal(existsSync(`/proc/${machine.pid}`), false);
  assert.equal(runs(spec), 1);
  await descriptorsAre(before);
});

test("startMachine sees QEMU die at once, with its words and the console's last lines", async (context) => {
  const spec = pretend(context, "echo oops >&2; printf 'line one\\nline two\\n' >&5; exit 7");
  const before = openDescriptors();
  const machine = await startMachine(spec, options());
  const death = await machine.died;
  assert.deepEqual(
    [death.reason, death.qemuMessage, death.consoleLines],
    ["qemu-exit", "oops", ["line one", "line two"]],
  );
  assert.match(death.description, /status 7/);
  await descriptorsAre(before);
});

test("startMachine reports what QEMU refused", async (context) => {
  const spec = pretend(
    context,
    `echo '{"QMP": {}}' >&4; read -r command <&4; echo '{"error": {"class": "X", "desc": "no"}, "id": 1}' >&4; exec sleep 100`,
  );
  const death = await (await startMachine(spec, options())).died;
  assert.equal(death.reason, "vm-error");
  assert.match(death.description, /refused qmp_capabilities: no/);
});

test("startMachine takes a reset with a panic on the console for a panic", async (context) => {
  const event = `{"event": "SHUTDOWN", "data": {"guest": true, "reason": "guest-reset"}}`;
  const spec = pretend(context, `${GREET}; echo '[ 1.0] Kernel panic - not syncing: x' >&5; echo '${event}' >&4`);
  const death = await (await startMachine(spec, options())).died;
  assert.equal(death.reason, "guest-panic");
  assert.match(death.description, /not syncing: x/);
});

test("startMachine ends a VM that QEMU stopped for good", async (context) => {
  const spec = pretend(
    context,
    `${GREET}; echo '{"event": "STOP"}' >&4; read -r query <&4; echo '{"return": {"status": "internal-error"}, "id": 2}' >&4; exec sleep 100`,
  );
  const death = await (await startMachine(spec, options())).died;
  assert.match(death.description, /"internal-error"/);
});

test("startMachine ends a QEMU that closed its monitor but stays", async (context) => {
  const spec = pretend(context, `${GREET}; exec 4>&-; exec sleep 100`);
  const death = await (await startMachine(spec, options())).died;
  assert.equal(death.reason, "qemu-exit");
});

test("bootMachine tries a VM that died a second time, then says why", async (context) => {
  const spec = pretend(context, "echo broken >&5; exit 1");
  const booting = bootMachine(spec, () => new Promise(() => {}), options());
  await assert.rejects(booting, { code: "CAISSON_E_VM_START", message: /status 1.*\n {2}broken$/ });
  assert.equal(runs(spec), 2);
});

test("bootMachine returns a second attempt's VM", async (context) => {
  const spec = pretend(
    context,
    `runs=$(dirname $0)/runs; seen=$(dd if=$runs iflag=nonblock count=1 status=none); echo "$seen" >$runs
    [ "$seen" = run ] && exit 1; ${GREET}; echo hello >&3; exec sleep 100`,
  );
  const { machine } = await bootMachine(spec, firstBytes, options());
  assert.equal(runs(spec), 2);
  await machine.kill();
});

test("bootMachine does not wait for an agent beyond its limit", async (context) => {
  const spec = pretend(context, `${GREET}; echo still here >&5; exec sleep 100`);
  const before = openDescriptors();
  const booting = bootMachine(spec, () => new Promise(() => {}), { ...options(), limitMs: 3000 });
  await assert.rejects(booting, { code: "CAISSON_E_VM_START", message: /within 3 s.*\n {2}still here$/ });
  await descriptorsAre(before);
});

test("bootMachine explains a failure of the connection by the death that caused it", async (context) => {
  const spec = pretend(context, `${GREET}; exec 3>&-; sleep 0.05; exit 3`);
  const ended = (machine: Machine) =>
    new Promise<never>((_, reject) => machine.agent.resume().once("close", () => reject(new Error("connection lost"))));
  await assert.rejects(bootMachine(spec, ended, options()), { code: "CAISSON_E_VM_START", message: /status 3/ });
});

test("bootMachine passes on what its caller threw, and does not try again", async (context) => {
  const spec = pretend(context, `${GREET}; exec sleep 100`);
  const booting = bootMachine(spec, () => Promise.reject(new RangeError("mine")), options());
  await assert.rejects(booting, { name: "RangeError" });
  assert.equal(runs(spec), 1);
});

test("bootMachine stops when its signal aborts", async (context) => {
  const spec = pretend(context, `${GREET}; exec sleep 100`);
  const controller = new AbortController();
  const booting = bootMachine(spec, () => new Promise(() => {}), { signal: controller.signal, limitMs: 10_000 });
  setTimeout(() => controller.abort(new Error("enough")), 50);
  await assert.rejects(booting, { message: "enough" });
  await assert.rejects(bootMachine(spec, firstBytes, { signal: controller.signal, limitMs: 1 }), { message: "enough" });
});

test("startMachine names the file it cannot open, and leaves nothing", async (context) => {
  const spec = pretend(context, "exit 0");
  const before = openDescriptors();
  const absent = { ...spec, image: "/nonexistent" };
  await assert.rejects(startMachine(absent, options()), { code: "CAISSON_E_HOST", message: /\/nonexistent/ });
  await assert.rejects(startMachine({ ...spec, consoleLog: "/nonexistent/log" }, options()), { code: "ENOENT" });
  await descriptorsAre(before);
});

test("startMachine gives QEMU no capabilities, hardly any environment, and a session and a user of its own", async (context) => {
  const spec = pretend(
    context,
    `${GREET}; { grep ^Cap /proc/self/status; env; id -u; echo ids $$ $(cut -d' ' -f6 /proc/self/stat); } >&3; echo end >&3; exec sleep 100`,
  );
  const said = (machine: Machine) =>
    new Promise<string>((resolve) => {
      let text = "";
      machine.agent.on("data", (data) => {
        text += data;
        if (text.endsWith("end\n")) resolve(text);
      });
    });
  const { machine, value } = await bootMachine(spec, said, options());
  await machine.kill();
  assert.match(value, /^CapEff:\t0000000000000000$/m);
  assert.match(value, /^CapBnd:\t0000000000000000$/m);
  assert.deepEqual(
    value.match(/^[A-Z_]+(?==)/gm)?.filter((name) => !["PATH", "PWD", "OLDPWD", "SHLVL", "_"].includes(name)),
    ["LD_PRELOAD", "CAISSON_VHOST_PROXY"],
  );
  assert.match(value, /^20000\d{5}$/m);
  assert.match(value, /^ids 1 1$/m);
});

test("startMachine's QEMU dies with the process that started it", async (context) => {
  const spec = pretend(context, `${GREET}; echo hello >&3; exec sleep 100`);
  const program = `
    import { startMachine } from ${JSON.stringify(new URL("../../vm/start-machine.ts", import.meta.url).href)};
    const machine = await startMachine(${JSON.stringify(spec)}, { signal: new AbortController().signal });
    machine.agent.once("data", () => { console.log(machine.pid); process.kill(process.pid, "SIGKILL"); });
  `;
  const { stdout, signal } = await execa(process.execPath, ["--input-type=module", "-e", program], { reject: false });
  assert.equal(signal, "SIGKILL");
  const pid = Number(stdout);
  assert.ok(pid > 1, stdout);
  // Whoever inherits it may be slow to reap it.
  const gone = () => /^State:\tZ/m.test(statusOf(pid) ?? "State:\tZ");
  for (let tries = 0; !gone() && tries < 6000; tries++) await sleep(10);
  assert.ok(gone(), statusOf(pid));
});

function statusOf(pid: number): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/status`, "utf8");
  } catch {
    return undefined;
  }
}
