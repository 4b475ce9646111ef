import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { emptyHistogram, observe } from "../metrics/histogram.ts";
import type { Measurement } from "../metrics/measurement.ts";
import type { StateRecord } from "../state/record.ts";
import { expose } from "./expose.ts";
import type { HostProcess } from "./host-process.ts";
import type { Scrape, ScrapedSandbox } from "./scrape.ts";

const TOP = join(import.meta.dirname, "../..");
const reading: HostProcess = { cpuSeconds: 1.5, residentBytes: 100, proportionalBytes: 60, threads: 3, fds: 9 };

function histogram() {
  const value = emptyHistogram();
  observe(value, 0.02);
  return value;
}

function measured(changes: Partial<Measurement> = {}): Measurement {
  return {
    id: "c1",
    origin: "forked",
    vcpus: 2,
    memoryMib: 256,
    pod: { name: "web", namespace: "default", uid: "u1" },
    processes: [
      { role: "shim", pid: 10 },
      { role: "hypervisor", pid: 11 },
      { role: "virtiofsd", pid: 12 },
      { role: "virtiofsd", pid: 13 },
    ],
    agentCalls: { createContainer: { ...histogram(), failures: 1 } },
    guest: {
      cpu: { userNs: 2e9 },
      memory: { total: 1024, oomKills: 1 },
      disks: [{ name: "vda", readBytes: 512, ioNs: 1e9 }],
      interfaces: [{ name: "eth0", receivedBytes: 77 }],
      pressure: { cpu: { some: 0.5, full: 0 }, memory: undefined, io: undefined },
      load: { load1: 0.25, running: 1 },
      agentCpuNs: 1e9,
      agentResidentBytes: 40,
    },
    ...changes,
  };
}

function scraped(id: string, value: Measurement | { problem: string }): ScrapedSandbox {
  const record = { created: "2026-01-01T00:00:00Z" } as StateRecord;
  const known = { id, directory: `/run/caisson/${id}`, root: "/run/caisson", namespace: "", record };
  const processes = "processes" in value ? value.processes.map((process) => ({ process, reading })) : [];
  return { id, known, measured: value, processes };
}

function scrapeOf(sandboxes: ScrapedSandbox[]): Scrape {
  const totals = {
    starts: { forked: 3 },
    phases: { vm_ready: histogram() },
    failures: { CAISSON_E_VM_START: 2 },
  };
  const template = { key: "k", bytes: 1, lastUsedMs: 0, condition: "usable", forkServer: 5 } as const;
  return { sandboxes, templates: [{ template, forkServer: reading }], totals, skipped: 0, seconds: 0.1 };
}

const everything = expose(
  scrapeOf([scraped("c1", measured()), scraped("c2", { problem: "CAISSON_E_TIMEOUT" })]),
  "1.0",
);

test("expose writes what a sandbox, its processes, its guest and the host say", () => {
  const text = everything.text();
  for (const line of [
    'caisson_sandbox_up{sandbox_id="c1"} 1',
    'caisson_sandbox_up{sandbox_id="c2"} 0',
    'caisson_sandbox_problem{sandbox_id="c2",code="CAISSON_E_TIMEOUT"} 1',
    'caisson_sandbox_memory_bytes{sandbox_id="c1"} 268435456',
    'caisson_hypervisor_cpu_seconds_total{sandbox_id="c1"} 1.5',
    'caisson_virtiofsd_proportional_memory_bytes{sandbox_id="c1"} 120',
    'caisson_guest_cpu_time_seconds_total{sandbox_id="c1",item="user"} 2',
    'caisson_guest_diskstat_read_bytes_total{sandbox_id="c1",disk="vda"} 512',
    'caisson_guest_netdev_receive_bytes_total{sandbox_id="c1",interface="eth0"} 77',
    'caisson_guest_pressure_waiting_seconds_total{sandbox_id="c1",resource="cpu"} 0.5',
    'caisson_agent_rpc_duration_seconds_count{sandbox_id="c1",action="createContainer"} 1',
    'caisson_start_phase_duration_seconds_sum{phase="vm_ready"} 0.02',
    'caisson_failures_total{code="CAISSON_E_VM_START"} 2',
    "caisson_fork_servers 1",
  ]) {
    assert.ok(text.includes(`${line}\n`), line);
  }
});

test("expose leaves a guest's readings out that there are none of", () => {
  const text = expose(
    scrapeOf([scraped("c1", measured({ guest: undefined, problem: "CAISSON_E_TIMEOUT" }))]),
    "1",
  ).text();
  assert.match(text, /caisson_guest_up\{sandbox_id="c1"\} 0/);
  assert.match(text, /caisson_guest_problem\{sandbox_id="c1",code="CAISSON_E_TIMEOUT"\} 1/);
  assert.doesNotMatch(text, /meminfo/);
});

test("docs/metrics.md lists each metric, and no other", () => {
  const documented = [...readFileSync(join(TOP, "docs/metrics.md"), "utf8").matchAll(/^\| `(caisson_\w+)`/gm)];
  const known = new Set([...everything.names, "caisson_guest_problem", "caisson_monitor_scrapes_total"]);
  assert.deepEqual(documented.map(([, name]) => name).sort(), [...known].sort());
});

test("the dashboard asks for metrics that there are", () => {
  const dashboard = readFileSync(join(TOP, "deploy/grafana/caisson.json"), "utf8");
  JSON.parse(dashboard);
  const asked = new Set(
    [...dashboard.matchAll(/caisson_\w+/g)].map(([name]) => name.replace(/_(bucket|sum|count)$/, "")),
  );
  assert.ok(asked.size > 10);
  for (const name of asked) assert.ok(everything.names.includes(name), name);
});
