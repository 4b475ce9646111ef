import assert from "node:assert/strict";
import { test } from "node:test";
import { parseCandidates } from "./candidates.ts";

test("parseCandidates reads versions, sums, paths, and the first of each group of alternatives", () => {
  const text = `Package: libssl3
Architecture: amd64
Version: 3.0.22-1~deb12u2
Depends: libc6 (>= 2.34), debconf (>= 0.5) | debconf-2.0
Pre-Depends: dpkg (>= 1.15)
Description-en: Secure Sockets Layer toolkit
 Depends: on nothing here
Filename: pool/main/o/openssl/libssl3.deb
SHA256: 00ff

Package: gcc-12-base
Version: 12.2.0-14
Filename: pool/main/g/gcc-12/gcc-12-base.deb
SHA256: 11ee
`;
  assert.deepEqual(parseCandidates(text), [
    {
      name: "libssl3",
      version: "3.0.22-1~deb12u2",
      sha256: "00ff",
      path: "pool/main/o/openssl/libssl3.deb",
      depends: ["dpkg", "libc6", "debconf"],
    },
    {
      name: "gcc-12-base",
      version: "12.2.0-14",
      sha256: "11ee",
      path: "pool/main/g/gcc-12/gcc-12-base.deb",
      depends: [],
    },
  ]);
});

test("parseCandidates refuses a record without a sum", () => {
  assert.throws(() => parseCandidates("Package: x\nVersion: 1\n"), /without the field SHA256/);
});

test("parseCandidates of nothing is nothing", () => {
  assert.deepEqual(parseCandidates("\n"), []);
});
