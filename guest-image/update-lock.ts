/** Writes packages.lock anew from what the release has now, and prints what that changes. Run from the top folder, by `make guest-lock`. */
import "./failure.ts";
import { existsSync, writeFileSync } from "node:fs";
import { aptRoot, type Candidate, closure } from "./candidates.ts";
import { LOCK_FILE, type Lock, lockChanges, type Role, readLock, renderLock } from "./lock.ts";
import { debianMirror } from "./mirror.ts";

const SUITE = "trixie";
/** Depends on the release's kernel. */
const KERNEL_PACKAGE = "linux-image-amd64";
const GUEST_PACKAGES = ["busybox-static", "kmod", "libc6", "libstdc++6", "strace"];
/** What compiles the guest's C, strips its programs, reads the kernel's modules and packs the root. */
const BUILD_PACKAGES = ["gcc-14", "libc6-dev", "erofs-utils", "kmod"];
/** Only maintainer scripts need these, none of which is run, or sanitizers, profilers and languages that nothing here uses. */
const NOT_NEEDED = new Set([
  "debconf",
  "openssl-provider-legacy",
  "libasan8",
  "libatomic1",
  "libc-dev-bin",
  "libcc1-0",
  "libgomp1",
  "libgprofng0",
  "libhwasan0",
  "libitm1",
  "liblsan0",
  "libquadmath0",
  "libtsan2",
  "libubsan1",
  "rpcsvc-proto",
]);

const mirror = debianMirror();
const apt = aptRoot("out/guest-apt", mirror, SUITE);
const isLeft = (name: string) => NOT_NEEDED.has(name);

/** The kernel's package alone: nothing that it depends on is needed. */
function kernel(): Candidate {
  const [meta] = closure(apt, [KERNEL_PACKAGE], () => true).values();
  const name = meta?.depends.find((each) => each.startsWith("linux-image-"));
  if (name === undefined) throw new Error(`the package ${KERNEL_PACKAGE} does not depend on a kernel`);
  return [...closure(apt, [name], () => true).values()][0] as Candidate;
}

const locked = (role: Role) => (each: Candidate) => {
  const { name, version, sha256, path } = each;
  return { role, name, version, sha256, path };
};
const guest = closure(apt, GUEST_PACKAGES, isLeft);
const build = [...closure(apt, BUILD_PACKAGES, isLeft).values()].filter(({ name }) => !guest.has(name));
const packages = [...[kernel(), ...guest.values()].map(locked("guest")), ...build.map(locked("build"))];
const lock: Lock = { suite: SUITE, packages };

const before = existsSync(LOCK_FILE) ? readLock().packages : [];
const changes = lockChanges(before, packages);
writeFileSync(LOCK_FILE, renderLock(lock));
console.log(changes.length > 0 ? changes.join("\n") : `${LOCK_FILE} is what ${mirror} has of ${SUITE} now.`);
