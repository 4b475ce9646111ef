import { Exposition } from "../metrics/exposition.ts";
import type { MeasuredProcess, Measurement } from "../metrics/measurement.ts";
import { ORIGINS } from "../metrics/totals.ts";
import { exposeGuest } from "./expose-guest.ts";
import type { HostProcess } from "./host-process.ts";
import type { Scrape, ScrapedSandbox } from "./scrape.ts";

const MIB = 1024 * 1024;
const CONDITIONS = ["usable", "stale", "broken"] as const;

/** A scrape as metrics: names after Prometheus' conventions, and with Kata's words where Kata has the same thing. */
export function expose(scrape: Scrape, version: string): Exposition {
  const out = new Exposition();
  out.gauge("caisson_build_info", "The version of this program.", 1, { version });
  out.gauge("caisson_running_sandboxes", "Sandboxes that run.", scrape.sandboxes.length);
  out.gauge("caisson_unreadable_states", "State records that could not be read.", scrape.skipped);
  exposeTotals(out, scrape);
  exposeTemplates(out, scrape);
  for (const sandbox of scrape.sandboxes) exposeSandbox(out, sandbox);
  out.gauge("caisson_scrape_duration_seconds", "How long it took to gather these metrics.", scrape.seconds);
  return out;
}

function exposeTotals(out: Exposition, { totals }: Scrape): void {
  const { starts, phases, failures } = totals;
  for (const origin of ORIGINS) {
    const help = "VMs that were started while the host was monitored, by where they came from.";
    out.counter("caisson_starts_total", help, starts[origin] ?? 0, { origin });
  }
  for (const [phase, histogram] of Object.entries(phases)) {
    const help = "How long the phases of sandboxes' starts took while the host was monitored.";
    out.histogram("caisson_start_phase_duration_seconds", help, histogram, { phase });
  }
  for (const [code, count] of Object.entries(failures)) {
    out.counter("caisson_failures_total", "Commands and calls that failed, by their error's code.", count, { code });
  }
}

function exposeTemplates(out: Exposition, { templates }: Scrape): void {
  for (const condition of CONDITIONS) {
    const count = templates.filter(({ template }) => template.condition === condition).length;
    out.gauge("caisson_templates", "Templates that VMs are cloned from, by their condition.", count, { condition });
  }
  const servers = templates.filter(({ forkServer }) => forkServer !== undefined);
  out.gauge("caisson_fork_servers", "Fork servers that run.", servers.length);
  for (const { template, forkServer } of templates) {
    const labels = { template: template.key };
    out.gauge("caisson_template_size_bytes", "What a template takes of its file system.", template.bytes, labels);
    if (forkServer !== undefined) exposeProcess(out, "caisson_fork_server", "The fork server", forkServer, labels);
  }
}

function exposeSandbox(out: Exposition, sandbox: ScrapedSandbox): void {
  const { id, known, measured } = sandbox;
  const labels = { sandbox_id: id };
  const answered = "processes" in measured;
  out.gauge("caisson_sandbox_up", "Whether the sandbox's daemon answered in time.", answered ? 1 : 0, labels);
  const created = Date.parse(known.record.created) / 1000;
  out.gauge("caisson_sandbox_created_timestamp_seconds", "When the sandbox was created.", created, labels);
  if (!answered) {
    const help = "Why the sandbox's daemon did not answer.";
    out.gauge("caisson_sandbox_problem", help, 1, { ...labels, code: measured.problem });
    return;
  }
  exposeMeasured(out, measured, labels, known.namespace);
  for (const role of ["shim", "hypervisor", "virtiofsd"] as const) exposeRole(out, role, sandbox, labels);
}

function exposeMeasured(
  out: Exposition,
  measured: Measurement,
  labels: { sandbox_id: string },
  namespace: string,
): void {
  const { origin, vcpus, memoryMib, pod, agentCalls, problem, guest } = measured;
  out.gauge("caisson_sandbox_info", "What the sandbox is.", 1, {
    ...labels,
    origin,
    namespace,
    cri_name: pod?.name ?? "",
    cri_namespace: pod?.namespace ?? "",
    cri_uid: pod?.uid ?? "",
  });
  out.gauge("caisson_sandbox_vcpus", "CPUs of the VM.", vcpus, labels);
  out.gauge("caisson_sandbox_memory_bytes", "Memory that the VM may use.", memoryMib * MIB, labels);
  for (const [action, call] of Object.entries(agentCalls)) {
    const help = "How long the agent took to answer.";
    out.histogram("caisson_agent_rpc_duration_seconds", help, call, { ...labels, action });
    const failed = "Calls of the agent's that failed.";
    out.counter("caisson_agent_rpc_failures_total", failed, call.failures, { ...labels, action });
  }
  const up = guest === undefined ? 0 : 1;
  out.gauge("caisson_guest_up", "Whether the guest said in time how it is.", up, labels);
  if (problem !== undefined) {
    out.gauge("caisson_guest_problem", "Why the guest did not say.", 1, { ...labels, code: problem });
  }
  if (guest !== undefined) exposeGuest(out, guest, labels);
}

const ROLES: Readonly<Record<MeasuredProcess["role"], string>> = {
  shim: "The sandbox's daemon",
  hypervisor: "QEMU",
  virtiofsd: "virtiofsd with what it has forked",
};

/** Its processes added up. */
function exposeRole(
  out: Exposition,
  role: MeasuredProcess["role"],
  { processes }: ScrapedSandbox,
  labels: { sandbox_id: string },
): void {
  const readings = processes.filter(({ process }) => process.role === role).map(({ reading }) => reading);
  if (readings.length === 0) return;
  const sum = (value: (reading: HostProcess) => number) => readings.reduce((total, each) => total + value(each), 0);
  const known = readings.every(({ proportionalBytes }) => proportionalBytes !== undefined);
  const total: HostProcess = {
    cpuSeconds: sum(({ cpuSeconds }) => cpuSeconds),
    residentBytes: sum(({ residentBytes }) => residentBytes),
    proportionalBytes: known ? sum(({ proportionalBytes = 0 }) => proportionalBytes) : undefined,
    threads: sum(({ threads }) => threads),
    fds: sum(({ fds }) => fds),
  };
  exposeProcess(out, `caisson_${role}`, ROLES[role], total, labels);
}

function exposeProcess(
  out: Exposition,
  prefix: string,
  what: string,
  { cpuSeconds, residentBytes, proportionalBytes, threads, fds }: HostProcess,
  labels: Readonly<Record<string, string>>,
): void {
  out.counter(`${prefix}_cpu_seconds_total`, `${what}: CPU time used.`, cpuSeconds, labels);
  out.gauge(`${prefix}_resident_memory_bytes`, `${what}: resident memory.`, residentBytes, labels);
  if (proportionalBytes !== undefined) {
    const help = `${what}: its own memory, and its share of what others have as well (PSS).`;
    out.gauge(`${prefix}_proportional_memory_bytes`, help, proportionalBytes, labels);
  }
  out.gauge(`${prefix}_threads`, `${what}: threads.`, threads, labels);
  out.gauge(`${prefix}_fds`, `${what}: open file descriptors.`, fds, labels);
}
