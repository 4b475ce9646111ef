import type { Exposition } from "../metrics/exposition.ts";
import type { DeviceReadings, GuestReadings } from "../metrics/measurement.ts";

const NS = 1e-9;

/** /proc/stat's fields, by agent.proto's names. */
const CPU = {
  userNs: "user",
  niceNs: "nice",
  systemNs: "system",
  idleNs: "idle",
  iowaitNs: "iowait",
  irqNs: "irq",
  softirqNs: "softirq",
  stealNs: "steal",
};

/** /proc/meminfo's keys, by agent.proto's names: the items as Kata calls them. */
const MEMORY = {
  total: "mem_total",
  free: "mem_free",
  available: "mem_available",
  buffers: "buffers",
  cached: "cached",
  shmem: "shmem",
  slab: "slab",
  dirty: "dirty",
  swapTotal: "swap_total",
  swapFree: "swap_free",
};

type Series = readonly [field: string, name: string, help: string, factor?: number];

const DISK: readonly Series[] = [
  ["reads", "reads_total", "Reads that were completed."],
  ["readBytes", "read_bytes_total", "Bytes read."],
  ["writes", "writes_total", "Writes that were completed."],
  ["writtenBytes", "written_bytes_total", "Bytes written."],
  ["ioNs", "io_time_seconds_total", "How long the disk was busy.", NS],
];

const INTERFACE: readonly Series[] = [
  ["receivedBytes", "receive_bytes_total", "Bytes received."],
  ["receivedPackets", "receive_packets_total", "Packets received."],
  ["receiveErrors", "receive_errors_total", "Packets that came damaged."],
  ["receiveDrops", "receive_drop_total", "Packets that were dropped as they came."],
  ["sentBytes", "transmit_bytes_total", "Bytes sent."],
  ["sentPackets", "transmit_packets_total", "Packets sent."],
  ["sendErrors", "transmit_errors_total", "Packets that could not be sent."],
  ["sendDrops", "transmit_drop_total", "Packets that were dropped before they were sent."],
];

/** What the guest says of itself. */
export function exposeGuest(out: Exposition, guest: GuestReadings, labels: { sandbox_id: string }): void {
  const { cpu, memory, disks, interfaces, pressure, load } = guest;
  for (const [field, item] of Object.entries(CPU)) {
    const help = "The guest's CPU time, all CPUs together (/proc/stat).";
    out.counter("caisson_guest_cpu_time_seconds_total", help, (cpu[field] ?? 0) * NS, { ...labels, item });
  }
  for (const [field, item] of Object.entries(MEMORY)) {
    const help = "The guest's memory (/proc/meminfo).";
    out.gauge("caisson_guest_meminfo_bytes", help, memory[field] ?? 0, { ...labels, item });
  }
  const kills = "How often the guest's OOM killer has killed.";
  out.counter("caisson_guest_oom_kills_total", kills, memory["oomKills"] ?? 0, labels);
  exposeDevices(out, "caisson_guest_diskstat", "The guest's disk: ", DISK, disks, (disk) => ({ ...labels, disk }));
  exposeDevices(out, "caisson_guest_netdev", "The guest's interface: ", INTERFACE, interfaces, (name) => ({
    ...labels,
    interface: name,
  }));
  for (const [resource, value] of Object.entries(pressure)) {
    if (value === undefined) continue;
    const waiting = "How long some tasks of the guest's have waited for a resource (/proc/pressure).";
    out.counter("caisson_guest_pressure_waiting_seconds_total", waiting, value.some, { ...labels, resource });
    const stalled = "How long all tasks of the guest's have waited for a resource.";
    out.counter("caisson_guest_pressure_stalled_seconds_total", stalled, value.full, { ...labels, resource });
  }
  for (const item of ["load1", "load5", "load15"]) {
    out.gauge("caisson_guest_load", "The guest's load average.", load[item] ?? 0, { ...labels, item });
  }
  for (const item of ["running", "blocked", "threads"]) {
    out.gauge("caisson_guest_tasks", "The guest's tasks.", load[item] ?? 0, { ...labels, item });
  }
  out.counter(
    "caisson_guest_forks_total",
    "Processes and threads that the guest has made.",
    load["forks"] ?? 0,
    labels,
  );
  out.counter("caisson_agent_cpu_seconds_total", "The agent: CPU time used.", guest.agentCpuNs * NS, labels);
  const resident = guest.agentResidentBytes;
  out.gauge("caisson_agent_resident_memory_bytes", "The agent: resident memory in the guest.", resident, labels);
}

function exposeDevices(
  out: Exposition,
  prefix: string,
  what: string,
  series: readonly Series[],
  devices: readonly DeviceReadings[],
  labelsOf: (name: string) => Record<string, string>,
): void {
  for (const device of devices) {
    for (const [field, name, help, factor = 1] of series) {
      out.counter(`${prefix}_${name}`, `${what}${help}`, Number(device[field] ?? 0) * factor, labelsOf(device.name));
    }
  }
}
