import assert from "node:assert/strict";
import { test } from "node:test";
import { engineCases } from "./cases.ts";
import { Podman, whyNoPodman } from "./podman.ts";

const { options, engine } = engineCases("podman", whyNoPodman(), () => Podman.start());

test(
  "podman top with options of ps(1) runs it in the container; exec of what does not exist returns 127",
  options,
  async () => {
    const podman = engine();
    await podman.start("top", [], "sleep", "1000");
    assert.match(await podman.ok(["top", "top", "--", "-ef"]), /1 (root|0) +sleep 1000/);
    assert.equal((await podman.run(["exec", "top", "nothere"])).exitCode, 127);
    await podman.ok(["rm", "--force", "--time", "0", "top"]);
  },
);

test("podman healthcheck run", options, async () => {
  const podman = engine();
  const health = ["--health-cmd", "test -f /tmp/ok", "--health-interval", "disable"];
  await podman.start("health", health, "sleep", "1000");
  assert.equal((await podman.run(["healthcheck", "run", "health"])).exitCode, 1);
  await podman.ok(["exec", "health", "touch", "/tmp/ok"]);
  assert.equal((await podman.run(["healthcheck", "run", "health"])).exitCode, 0);
  await podman.ok(["rm", "--force", "--time", "0", "health"]);
});

test("podman run says what cannot be carried out, and why", options, async () => {
  const { exitCode, stderr } = await engine().run(["run", "--rm", "--network", "host", "busybox", "true"]);
  assert.equal(exitCode, 126);
  assert.match(stderr, /linux\.namespaces.*network/);
});
