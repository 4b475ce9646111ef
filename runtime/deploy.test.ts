/** What deploy/ has for the monitor, read by the programs that it is for, or by their rules. */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

const TOP = join(import.meta.dirname, "..");
const PARSE = "import json, sys, yaml; json.dump(list(yaml.safe_load_all(sys.stdin)), sys.stdout)";
const hasYaml = spawnSync("python3", ["-c", "import yaml"]).status === 0;
const hasSystemd = spawnSync("systemd-analyze", ["--version"]).status === 0;

/** As far as these tests look at them. */
interface Manifest {
  apiVersion: string;
  kind: string;
  metadata: { name: string; namespace?: string; labels?: Record<string, string> };
  spec: {
    selector?: { matchLabels?: Record<string, string> } & Record<string, unknown>;
    template?: {
      metadata: { labels: Record<string, string> };
      spec: { containers: { command: string[]; ports: { name: string; containerPort: number }[] }[] };
    };
    podSelector?: { matchLabels: Record<string, string> };
    ports?: { name: string; targetPort: string }[];
    endpoints?: Record<string, unknown>[];
  };
}

test("deploy/systemd/caisson-monitor.service is a unit that systemd takes, word for word", {
  skip: !hasSystemd && "systemd-analyze is not installed",
}, () => {
  const folder = mkdtempSync(join(tmpdir(), "caisson-unit-"));
  try {
    const unit = readFileSync(join(TOP, "deploy/systemd/caisson-monitor.service"), "utf8");
    const path = join(folder, "caisson-monitor.service");
    // systemd looks for programs in its own path, which has the installed one. A checkout's path may have spaces.
    const program = join(folder, "caisson");
    symlinkSync(join(TOP, "bin/caisson"), program);
    writeFileSync(path, unit.replace("ExecStart=caisson ", `ExecStart=${program} `));
    const { status, stderr } = spawnSync("systemd-analyze", ["verify", "--man=no", path], { encoding: "utf8" });
    assert.deepEqual(
      { status, ours: stderr.split("\n").filter((line) => line.includes("caisson")) },
      { status: 0, ours: [] },
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("deploy/kubernetes/monitor.yaml: what selects the pods selects those of the DaemonSet, and ports have its names", {
  skip: !hasYaml && "python3-yaml is not installed",
}, () => {
  const input = readFileSync(join(TOP, "deploy/kubernetes/monitor.yaml"));
  const manifests = JSON.parse(execFileSync("python3", ["-c", PARSE], { input, encoding: "utf8" })) as Manifest[];
  const of = (kind: string) => manifests.find((each) => each.kind === kind)?.spec ?? assert.fail(`no ${kind}`);
  const { template, selector } = of("DaemonSet");
  const labels = template?.metadata.labels;
  assert.deepEqual(selector?.matchLabels, labels);
  assert.deepEqual(of("Service").selector, labels);
  assert.deepEqual(of("NetworkPolicy").podSelector?.matchLabels, labels);
  assert.deepEqual(
    of("ServiceMonitor").selector?.matchLabels,
    manifests.find(({ kind }) => kind === "Service")?.metadata.labels,
  );
  const [container] = template?.spec.containers ?? [];
  const [port] = container?.ports ?? [];
  assert.ok(container?.command.includes(`0.0.0.0:${port?.containerPort}`), container?.command.join(" "));
  const [service] = of("Service").ports ?? [];
  assert.equal(service?.targetPort, port?.name);
  // monitoring.coreos.com/v1: an endpoint has these fields, and others that are not used here.
  for (const endpoint of of("ServiceMonitor").endpoints ?? []) {
    assert.deepEqual(Object.keys(endpoint).sort(), ["interval", "port", "relabelings", "scrapeTimeout"]);
    assert.equal(endpoint["port"], service?.name);
  }
  assert.equal(new Set(manifests.map(({ metadata }) => metadata.namespace)).size, 1);
});

test("deploy/grafana/caisson.json asks for metrics that there are", () => {
  const dashboard = readFileSync(join(TOP, "deploy/grafana/caisson.json"), "utf8");
  const documented = readFileSync(join(TOP, "docs/metrics.md"), "utf8");
  const asked = [...dashboard.matchAll(/\bcaisson_[a-z_]+/g)].map(([name]) => name.replace(/_(bucket|sum|count)$/, ""));
  assert.ok(asked.length > 10);
  for (const name of new Set(asked)) assert.ok(documented.includes(`\`${name}\``), name);
});
