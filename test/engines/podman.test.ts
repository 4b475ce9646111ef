import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { collect, PROGRAM } from "../harness/host.ts";
import { LoopDevice } from "../harness/loop-device.ts";
import { engineCases } from "./cases.ts";
import { Podman, podmanMajor, whyNoPodman } from "./podman.ts";

const { options, engine } = engineCases("podman", whyNoPodman(), () => Podman.start());
const disks = { skip: whyNoPodman() ?? (!LoopDevice.canBe() && "needs loop devices") };

test(
  "podman exec finds the container's processes, and returns 127 for what does not exist; so does podman 4's top",
  options,
  async () => {
    const podman = engine();
    await podman.start("top", [], "sleep", "1000");
    const own = /1 (root|0) +sleep 1000/;
    assert.match(await podman.ok(["exec", "top", "ps", "-o", "pid,user,args"]), own);
    // podman 5 runs the host's ps(1), and not in the container (deploy/podman).
    if (podmanMajor() < 5) assert.match(await podman.ok(["top", "top", "--", "-ef"]), own);
    assert.equal((await podman.run(["exec", "top", "nothere"])).exitCode, 127);
    await podman.ok(["rm", "--force", "--time", "0", "top"]);
  },
);

test("podman cp into and out of a container that runs", options, async () => {
  const podman = engine();
  const volume = join(podman.folder, "cp-volume");
  mkdirSync(volume);
  const file = join(podman.folder, "to-copy");
  writeFileSync(file, "content\n");
  await podman.start("cp", ["--volume", `${volume}:/volume`], "sleep", "1000");
  const inside = `/only-in-the-container-${process.pid}`;
  await podman.ok(["cp", file, `cp:${inside}`]);
  assert.equal(existsSync(inside), false);
  assert.equal(await podman.ok(["exec", "cp", "cat", inside]), "content\n");
  await podman.ok(["cp", file, "cp:/volume/file"]);
  assert.equal(readFileSync(join(volume, "file"), "utf8"), "content\n");
  await podman.ok(["exec", "cp", "sh", "-c", "echo back > /tmp/back; sync"]);
  await podman.ok(["cp", "cp:/tmp/back", join(podman.folder, "back")]);
  assert.equal(readFileSync(join(podman.folder, "back"), "utf8"), "back\n");
  await podman.ok(["rm", "--force", "--time", "0", "cp"]);
});

test("podman healthcheck run", options, async () => {
  const podman = engine();
  const health = ["--health-cmd", "test -f /tmp/ok", "--health-interval", "disable"];
  await podman.start("health", health, "sleep", "1000");
  assert.equal((await podman.run(["healthcheck", "run", "health"])).exitCode, 1);
  await podman.ok(["exec", "health", "touch", "/tmp/ok"]);
  assert.equal((await podman.run(["healthcheck", "run", "health"])).exitCode, 0);
  await podman.ok(["rm", "--force", "--time", "0", "health"]);
});

test("podman run --systemd gives the container a part of the guest's cgroup v2 to manage", options, async () => {
  const script =
    "mkdir /sys/fs/cgroup/init.scope && echo 1 > /sys/fs/cgroup/init.scope/cgroup.procs && cat /proc/1/cgroup";
  assert.equal(await engine().print(["--systemd", "always"], "sh", "-c", script), "0::/init.scope\n");
});

test("podman run says what cannot be carried out, and why", options, async () => {
  const { exitCode, stderr } = await engine().run(["run", "--rm", "--network", "host", "busybox", "true"]);
  assert.equal(exitCode, 126);
  assert.match(stderr, /linux\.namespaces.*network/);
});

test("podman run with overlay volumes, image volumes, shared memory of a size, and devices", options, async () => {
  const podman = engine();
  const volume = join(podman.folder, "lower");
  mkdirSync(volume);
  writeFileSync(join(volume, "file"), "lower\n");
  const script = `
    cat /v/file; echo upper > /v/file; cat /v/file; ls -d /image/bin
    grep -o ' /dev/shm .* - tmpfs' /proc/self/mountinfo | grep -o tmpfs; df -m /dev/shm | grep -c ' 32 '; hostname`;
  const flags = [
    "--volume",
    `${volume}:/v:O`,
    "--mount",
    "type=image,source=busybox,destination=/image",
    "--shm-size",
    "32m",
  ];
  const run = [
    "run",
    "--rm",
    ...flags,
    "--uts",
    "host",
    "--device",
    "/dev/null:/dev/nothing",
    "busybox",
    "sh",
    "-c",
    script,
  ];
  assert.equal(await podman.ok(run), `lower\nupper\n/image/bin\ntmpfs\n1\n${hostname()}\n`);
  assert.equal(readFileSync(join(volume, "file"), "utf8"), "lower\n");
});

test(
  "podman run with a user namespace: files belong to its users, in the container and on the host",
  options,
  async () => {
    const podman = engine();
    const volume = join(podman.folder, "mapped");
    mkdirSync(volume, { mode: 0o777 });
    chmodSync(volume, 0o777);
    writeFileSync(join(volume, "roots"), "");
    // For --userns auto, of a user that this host need not have: newer libsubids ask for one (4.20).
    const ranges = join(podman.folder, "subid");
    writeFileSync(ranges, "containers:2000000:1000000\n");
    const users = join(podman.folder, "passwd");
    writeFileSync(users, `${readFileSync("/etc/passwd", "utf8")}containers:x:64000:64000::/:/usr/sbin/nologin\n`);
    const own = `mount --bind ${users} /etc/passwd && mount --bind ${ranges} /etc/subuid && mount --bind ${ranges} /etc/subgid && exec "$@"`;
    const script =
      "stat -c %u:%g /bin/busybox /v/roots; touch /v/$NAME /etc/made; stat -c %u:%g /v/$NAME /etc/made; id -u";
    const run = async (name: string, ...flags: string[]) => {
      const args = [
        "run",
        "--rm",
        "--network",
        "none",
        "--env",
        `NAME=${name}`,
        ...flags,
        "busybox",
        "sh",
        "-c",
        script,
      ];
      const result = await collect(spawn("unshare", ["-m", "sh", "-c", own, "sh", ...podman.command, ...args]));
      assert.equal(result.exitCode, 0, result.stderr);
      const { uid, gid } = statSync(join(volume, name));
      return [...result.stdout.trimEnd().split("\n"), `${uid}:${gid}`];
    };
    const plain = ["--volume", `${volume}:/v`];
    const ids = ["--uidmap", "0:100000:5000", "--gidmap", "0:200000:5000"];
    assert.deepEqual(await run("a", ...ids, ...plain), ["0:0", "65534:65534", "0:0", "0:0", "0", "100000:200000"]);
    const mapped = ["--volume", `${volume}:/v:idmap`];
    assert.deepEqual(await run("b", ...ids, ...mapped), ["0:0", "0:0", "0:0", "0:0", "0", "0:0"]);
    const auto = await run("c", "--userns", "auto:size=5000", ...plain);
    assert.deepEqual(auto, ["0:0", "65534:65534", "0:0", "0:0", "0", "2000000:2000000"]);
  },
);

test("podman run --device gives a block device of the host", disks, async () => {
  const podman = engine();
  const image = join(podman.folder, "disk");
  writeFileSync(image, "from the host".padEnd(1024 * 1024, "\0"));
  using loop = new LoopDevice(image);
  const read = ["sh", "-c", "dd if=/dev/disk bs=13 count=1 2>/dev/null; echo x > /dev/disk; echo $?"];
  const run = (access: string) =>
    podman.run([
      "run",
      "--rm",
      "--network",
      "none",
      "--device",
      `${loop.path}:/dev/disk:${access}`,
      "busybox",
      ...read,
    ]);
  assert.match((await run("r")).stdout, /^from the host1$/m);
  assert.match((await run("rw")).stdout, /^from the host0$/m);
  assert.equal(readFileSync(image).subarray(0, 2).toString(), "x\n");
});

test(
  "podman build: RUN as the USER of the image, whose files keep their owners, modes and links",
  options,
  async () => {
    const podman = engine();
    const context = join(podman.folder, "context");
    mkdirSync(context);
    writeFileSync(join(context, "note"), "note\n");
    writeFileSync(
      join(context, "Dockerfile"),
      `FROM busybox
     RUN mkdir -p /srv/app && busybox chown 1234:1235 /srv/app
     USER 1234:1235
     WORKDIR /srv/app
     RUN id -u >who && mkdir private && busybox chmod 700 private && echo x >private/file && busybox ln who again
     COPY --chown=1234:1235 note /srv/app/note
     RUN cat note >>who && ! touch /etc/refused
     USER 0:0
     RUN busybox chown 7:8 again && busybox chmod 4755 again
     USER 1234:1235
    `,
    );
    const isolation = ["--runtime", PROGRAM, "--isolation", "oci", "--network", "none"];
    await podman.ok(["build", ...isolation, "--layers=false", "--tag", "built", context]);
    const script =
      "stat -c '%n %u:%g %a' . who again private note; cat who private/file; test who -ef again && echo one";
    assert.equal(
      await podman.ok(["run", "--rm", "--network", "none", "built", "sh", "-c", script]),
      ". 1234:1235 755\nwho 7:8 4755\nagain 7:8 4755\nprivate 1234:1235 700\nnote 1234:1235 644\n1234\nnote\nx\none\n",
    );
  },
);
