/** What `make dist` makes, without compressing it: contents, control fields, and the same bytes each time. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";

const TOP = join(import.meta.dirname, "../..");
const LIMIT_MS = 180_000;
const MAX_OUTPUT_BYTES = 16 * 1024 * 1024;
const { version } = JSON.parse(readFileSync(join(TOP, "package.json"), "utf8")) as { version: string };
const TARBALL = `caisson-${version}.tar`;
const PACKAGE = `caisson_${version}-1_amd64.deb`;
/** A checkout need not have its history. */
const TIME = { SOURCE_DATE_EPOCH: "1000000000" };
// The files are big, and /tmp may be memory.
const work = mkdtempSync(join(TOP, "out/dist-test-"));
const first = join(work, "first");
after(() => rmSync(work, { recursive: true }));

function run(program: string, ...args: string[]): string {
  return execFileSync(program, args, {
    cwd: TOP,
    encoding: "utf8",
    timeout: LIMIT_MS,
    maxBuffer: MAX_OUTPUT_BYTES,
    env: { ...process.env, ...TIME, LC_ALL: "C", TZ: "UTC" },
    stdio: ["ignore", "pipe", "pipe"],
  });
}

const sha256 = (folder: string, file: string) => run("sha256sum", join(folder, file)).split(" ")[0];

before(() => {
  run("make", "man");
  run("scripts/dist.sh", first, "none");
});

test("packing the same tree again gives the same bytes", () => {
  const second = join(work, "another, longer name");
  run("scripts/dist.sh", second, "none");
  for (const file of [TARBALL, PACKAGE]) assert.equal(sha256(second, file), sha256(first, file), file);
  assert.deepEqual(readdirSync(first).sort(), [TARBALL, PACKAGE].sort());
  rmSync(second, { recursive: true });
});

test("the package says what it needs", () => {
  const field = (name: string) => run("dpkg-deb", "--field", join(first, PACKAGE), name).trim();
  assert.equal(field("Version"), `${version}-1`);
  assert.equal(field("Architecture"), "amd64");
  const needed = field("Depends");
  for (const name of [
    "libc6 (>= ",
    "libstdc++6 (>= ",
    "libseccomp2 (>= ",
    "qemu-system-x86 (>= 1:7.2)",
    "virtiofsd |",
  ]) {
    assert.ok(needed.includes(name), `${name} in ${needed}`);
  }
  assert.ok(Number(field("Installed-Size")) > 100_000);
});

test("the package has commands, image, pages, settings of engines, nothing made anew each time, and all of it is root's", () => {
  const lines = run("dpkg-deb", "--contents", join(first, PACKAGE)).trim().split("\n");
  for (const line of lines) assert.match(line, /^[-dl][rwx-]{9} root\/root +\d+ 2001-09-09 01:46 \.\//);
  const paths = lines.map((line) => line.split(" ./")[1] ?? "");
  for (const path of [
    "usr/bin/caisson -> ../lib/caisson/bin/caisson",
    "usr/bin/containerd-shim-caisson-v2 -> ../lib/caisson/bin/containerd-shim-caisson-v2",
    "usr/lib/caisson/out/node",
    "usr/lib/caisson/out/image/manifest.json",
    "usr/lib/caisson/out/native/fork-server.so",
    "usr/lib/tmpfiles.d/caisson.conf",
    "usr/share/bash-completion/completions/caisson",
    "usr/share/doc/caisson/changelog.Debian.gz",
    "usr/share/doc/caisson/copyright",
    "usr/share/doc/caisson/deploy/containerd/caisson-2.toml",
    "usr/share/doc/caisson/deploy/cri-o/50-caisson.conf",
    "usr/share/doc/caisson/deploy/podman/containers.conf",
    "usr/share/doc/caisson/third-party.txt.gz",
    "usr/share/man/man8/caisson-run.8.gz",
  ]) {
    assert.ok(paths.includes(path), path);
  }
  assert.deepEqual(
    paths.filter((path) => path.endsWith(".compiled") || path.startsWith("usr/local") || path.startsWith("etc")),
    [],
  );
});

test("what is unpacked runs, and V8's compiled forms are made there", () => {
  run("tar", "--extract", "--force-local", "--file", join(first, TARBALL), "--directory", work);
  run("dpkg-deb", "--extract", join(first, PACKAGE), join(work, "root"));
  for (const prefix of [join(work, `caisson-${version}`), join(work, "root/usr")]) {
    assert.match(run(join(prefix, "bin/caisson"), "--version"), new RegExp(`^caisson version ${version}\n`));
    const out = join(prefix, "lib/caisson/out");
    run(join(prefix, "lib/caisson/compile.sh"), join(out, "node"), out);
    const bundles = readdirSync(out).filter((name) => name.endsWith(".cjs") && !/^(agent|caisson)\./.test(name));
    for (const name of bundles) assert.ok(readdirSync(out).includes(`${name}.compiled`), name);
  }
});
