import assert from "node:assert/strict";
import { test } from "node:test";
import { virtiofsdArguments } from "./command-line.ts";

test("virtiofsdArguments confine either virtiofsd and leave locks to the guest", () => {
  const c = virtiofsdArguments("c", 3, "/share").join(" ");
  for (const part of [
    "--fd=3",
    "source=/share,",
    "sandbox=namespace",
    "no_flock",
    "no_posix_lock",
    "posix_acl",
    "xattr",
  ])
    assert.ok(c.includes(part), part);
  const rust = virtiofsdArguments("rust", 3, "/share").join(" ");
  for (const part of [
    "--fd=3",
    "--shared-dir=/share ",
    "--sandbox=namespace",
    "--posix-acl",
    "--inode-file-handles=prefer",
  ])
    assert.ok(rust.includes(part), part);
  assert.ok(c.includes(",no_killpriv_v2,") && !rust.includes("killpriv"));
  for (const argv of [c, rust]) assert.match(argv, /cache=auto.*announce[_-]submounts/);
});

test("virtiofsdArguments survive a directory with a comma in its name", () => {
  assert.ok(virtiofsdArguments("c", 3, "/a,b\\c").at(-1)?.startsWith("source=/a\\,b\\\\c,"));
  assert.ok(virtiofsdArguments("rust", 3, "/a,b").includes("--shared-dir=/a,b"));
});
