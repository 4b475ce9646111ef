import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { until } from "../harness/host.ts";
import { engineCases } from "./cases.ts";
import { Docker, whyNoDocker } from "./docker.ts";

const { options, engine } = engineCases("docker", whyNoDocker(), () => Docker.start());

test("docker: health, top, cp and update of a container that runs", options, async () => {
  const docker = engine();
  const health = ["--health-cmd", "test -f /tmp/ok", "--health-interval", "500ms", "--health-retries", "1"];
  await docker.start("busy", health, "sleep", "1000");
  const status = () => docker.inspect("busy", "{{.State.Health.Status}}");
  await until(async () => (await status()) === "unhealthy");

  const file = join(docker.folder, "copied");
  writeFileSync(file, "");
  await docker.ok(["cp", file, "busy:/tmp/ok"]);
  await until(async () => (await status()) === "healthy");

  // On the host the container is one process.
  const lines = (await docker.ok(["top", "busy", "-o", "pid"])).trim().split("\n");
  assert.deepEqual([lines.length, lines[1]?.trim()], [2, await docker.inspect("busy", "{{.State.Pid}}")]);

  await docker.ok(["update", "--memory", "300m", "--memory-swap", "300m", "busy"]);
  const script = "cat /sys/fs/cgroup$(cut -d: -f3 /proc/self/cgroup)/memory.max";
  assert.equal(await docker.ok(["exec", "busy", "sh", "-c", script]), "314572800\n");
  await docker.ok(["rm", "--force", "busy"]);
});

test("docker run says what cannot be carried out, and why", options, async () => {
  const flags = ["--runtime", "caisson", "--network", "host"];
  const { exitCode, stderr } = await engine().run(["run", "--rm", ...flags, "busybox", "true"]);
  assert.equal(exitCode, 125);
  assert.match(stderr, /linux\.namespaces.*network/);
});
