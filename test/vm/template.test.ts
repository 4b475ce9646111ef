import assert from "node:assert/strict";
import { readdirSync, readFileSync, truncateSync } from "node:fs";
import { dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Machine } from "../../runtime/vm/machine.ts";
import { startMachine } from "../../runtime/vm/start-machine.ts";
import { agentAnswers, BOOT_LIMIT_MS, Guest } from "./guest.ts";

const signal = new AbortController().signal;
const options = { signal, limitMs: BOOT_LIMIT_MS };
/** USER_HZ: what /proc/PID/stat counts in (proc(5)). */
const TICKS_PER_SECOND = 100;
/** A hundredth where it was measured; slower machines take longer for the same work. */
const IDLE_SHARE = 0.02;
const IDLE_WINDOW_S = 5;
const IDLE_WINDOWS = 12;

for (const type of ["microvm", "q35"] as const) {
  describe(`a template of ${type}`, () => {
    let guest: Guest;
    let builds = 0;

    const warm = async (machine: Machine, limit: AbortSignal) => {
      builds++;
      await agentAnswers(machine, limit);
    };
    const clone = async (name: string): Promise<Machine> => {
      using template = await guest.store.prepare(guest.spec, warm, options);
      const spec = { ...guest.spec, consoleLog: join(dirname(guest.spec.consoleLog), `${name}.log`) };
      return await startMachine(spec, { signal, clone: template });
    };

    before(async () => {
      guest = await Guest.create(type);
    });
    after(() => guest[Symbol.dispose]());

    test("is built once by all who ask for it at the same time", async () => {
      const all = await Promise.all(Array.from({ length: 8 }, () => guest.store.prepare(guest.spec, warm, options)));
      for (const template of all) template.close();
      assert.equal(builds, 1);
      // What the key was computed of is kept for the next start.
      const names = readdirSync(guest.store.directory).filter((name) => !name.startsWith(".key-"));
      assert.deepEqual(new Set(names), new Set([".lock", all[0]?.key]));
    });

    test("is cloned again and again, at the same time, and stays as it was", async () => {
      const [before] = guest.store.list();
      const machines = await Promise.all(["a", "b", "c"].map(clone));
      await Promise.all(machines.map((machine) => agentAnswers(machine, signal)));
      machines[0]?.kill();
      process.kill(machines[1]?.pid ?? 0, "SIGKILL");
      assert.equal((await machines[1]?.died)?.reason, "qemu-exit");
      await machines[2]?.kill();
      const next = await clone("d");
      await agentAnswers(next, signal);
      await next.kill();
      const [template] = guest.store.list();
      assert.equal(template?.condition, "usable");
      // Less is the kernel's doing: a tmpfs counts a hole that was read until the page for it is dropped (shmem_recalc_inode()).
      assert.ok(
        (template?.bytes ?? Infinity) <= (before?.bytes ?? 0),
        `${template?.bytes} bytes where ${before?.bytes} were`,
      );
      assert.equal(await guest.store.verify(template?.key ?? ""), true);
      assert.equal(builds, 1);
    });

    test("has clones that do nothing when nothing is asked of them", async (t) => {
      const machine = await clone("idle");
      await agentAnswers(machine, signal);
      // What the agent's work left to tidy up is done within some seconds.
      let share = 1;
      for (let window = 0; share > IDLE_SHARE && window < IDLE_WINDOWS; window++) {
        share = await processorShare(machine.pid);
        t.diagnostic(`${(share * 100).toFixed(1)} % of a processor`);
      }
      await machine.kill();
      assert.ok(share <= IDLE_SHARE, `an idle clone used ${(share * 100).toFixed(1)} % of a processor`);
    });

    test("that was damaged is built anew", async () => {
      const [template] = guest.store.list();
      truncateSync(join(guest.store.directory, template?.key ?? "", "memory"), 1024 * 1024);
      const machine = await clone("rebuilt");
      await agentAnswers(machine, signal);
      await machine.kill();
      assert.equal(builds, 2);
      assert.equal(guest.store.list().length, 1);
    });

    test("may be removed while a clone runs, which goes on", async () => {
      const machine = await clone("survivor");
      const [template] = guest.store.list();
      assert.equal(guest.store.remove(template?.key ?? ""), true);
      await agentAnswers(machine, signal);
      await machine.kill();
    });
  });
}

async function processorShare(pid: number): Promise<number> {
  const before = processorTicks(pid);
  await sleep(IDLE_WINDOW_S * 1000);
  return (processorTicks(pid) - before) / TICKS_PER_SECOND / IDLE_WINDOW_S;
}

function processorTicks(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return Number(fields[11]) + Number(fields[12]);
}
