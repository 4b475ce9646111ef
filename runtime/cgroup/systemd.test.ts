import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { isSystemdForm, isSystemdsOwn, joinScope, scopeCall, scopePath } from "./systemd.ts";

const folder = mkdtempSync(join(tmpdir(), "caisson-systemd-"));
after(() => rmSync(folder, { recursive: true }));

test("scopePath is where systemd puts the scope", () => {
  assert.equal(scopePath("system.slice:docker:abc"), "/system.slice/docker-abc.scope");
  assert.equal(scopePath(":caisson:abc"), "/system.slice/caisson-abc.scope");
  assert.equal(scopePath("machine.slice::abc"), "/machine.slice/abc.scope");
  assert.equal(scopePath("-.slice:p:abc"), "/p-abc.scope");
  assert.equal(
    scopePath("kubepods-besteffort-pod1_2.slice:cri-containerd:abc"),
    "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod1_2.slice/cri-containerd-abc.scope",
  );
  for (const wrong of ["notaslice:p:x", "..slice:p:x", "system.slice:p:..", "/a:b:c"]) {
    assert.throws(() => scopePath(wrong), { code: "CAISSON_E_CONFIG_INVALID", field: "linux.cgroupsPath" }, wrong);
  }
});

test("isSystemdForm tells the form from a path", () => {
  assert.equal(isSystemdForm("system.slice:docker:abc"), true);
  for (const path of ["/a/b", "a", "", "a:b", "/a:b:c"]) assert.equal(isSystemdForm(path), false, path);
});

test("isSystemdsOwn is for scopes in slices where systemd runs", () => {
  assert.equal(isSystemdsOwn("/system.slice/a.scope", true), true);
  assert.equal(isSystemdsOwn("/a.scope", true), true);
  assert.equal(isSystemdsOwn("/system.slice/a.scope", false), false);
  assert.equal(isSystemdsOwn("/caisson/a", true), false);
  assert.equal(isSystemdsOwn("/caisson/a.scope", true), false);
});

test("scopeCall is a call that busctl understands", () => {
  const call = scopeCall("/a.slice/a-b.slice/x.scope", 5);
  assert.equal(
    call.slice(5).join(" "),
    [
      "ssa(sv)a(sa(sv)) x.scope fail 6 Description s caisson sandbox Slice s a-b.slice Delegate b true",
      "DefaultDependencies b false CollectMode s inactive-or-failed PIDs au 1 5 0",
    ].join(" "),
  );
});

test("joinScope calls systemd and waits until it is in the scope", () => {
  const own = join(folder, "cgroup");
  const said = join(folder, "said");
  const script = join(folder, "busctl");
  writeFileSync(own, "0::/\n");
  writeFileSync(
    script,
    `#!/bin/sh\necho "$@" > ${said}\n(sleep 0.05; echo 0::/system.slice/x.scope > ${own}) >/dev/null 2>&1 &\n`,
  );
  chmodSync(script, 0o755);
  joinScope("/system.slice/x.scope", script, own);
  assert.match(
    readFileSync(said, "utf8"),
    new RegExp(`StartTransientUnit .* x\\.scope fail .* PIDs au 1 ${process.pid} 0`),
  );
});

test("joinScope says what systemd said", () => {
  const script = join(folder, "angry");
  writeFileSync(script, "#!/bin/sh\necho 'Unit x.scope already exists.' >&2\nexit 1\n");
  chmodSync(script, 0o755);
  assert.throws(() => joinScope("/system.slice/x.scope", script), {
    code: "CAISSON_E_CGROUP",
    message: "systemd did not make the scope /system.slice/x.scope: Unit x.scope already exists.",
  });
});
