import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { extractKernel } from "./kernel.ts";

/** An ELF header, a note with a PVH entry, one section header, and the relocations that have to go. */
function elf({ note = true } = {}): { image: Buffer; kept: number } {
  const header = Buffer.alloc(64);
  header.write("\x7fELF", "latin1");
  header.writeBigUInt64LE(100n, 0x28);
  header.writeUInt16LE(64, 0x3a);
  header.writeUInt16LE(1, 0x3c);
  const pvh = Buffer.from(note ? [4, 0, 0, 0, 8, 0, 0, 0, 0x12, 0, 0, 0, 0x58, 0x65, 0x6e, 0] : Array(16).fill(0));
  const image = Buffer.concat([header, pvh, Buffer.alloc(84), Buffer.from("relocations")]);
  return { image, kept: 164 };
}

function bzImage(payload: Buffer, change: (setup: Buffer) => void = () => {}): Buffer {
  const setup = Buffer.alloc(2 * 512);
  setup[0x1f1] = 1;
  setup.writeUInt32LE(0x53726448, 0x202);
  setup.writeUInt16LE(0x20f, 0x206);
  setup.writeUInt32LE(16, 0x248);
  setup.writeUInt32LE(payload.length, 0x24c);
  change(setup);
  return Buffer.concat([setup, Buffer.alloc(16), payload, Buffer.from("the end of the file")]);
}

const size = Buffer.from([1, 2, 3, 4]);
const { image, kept } = elf();
const payloads = {
  xz: Buffer.concat([execFileSync("xz", ["-c"], { input: image }), size]),
  zstd: Buffer.concat([zstdCompressSync(image), size]),
  gzip: gzipSync(image),
};

for (const [format, payload] of Object.entries(payloads)) {
  test(`extractKernel takes the ELF kernel out of a bzImage packed with ${format}`, () => {
    assert.deepEqual(extractKernel(bzImage(payload)), image.subarray(0, kept));
  });
}

test("extractKernel refuses what is no bzImage, or one too old", () => {
  assert.throws(() => extractKernel(Buffer.alloc(4096)), /not a bzImage/);
  assert.throws(
    () => extractKernel(bzImage(payloads.gzip, (setup) => setup.writeUInt16LE(0x207, 0x206))),
    /not a bzImage/,
  );
  assert.throws(() => extractKernel(Buffer.alloc(10)), /not a bzImage/);
});

test("extractKernel refuses a payload that it cannot unpack, that is no ELF, or has no PVH entry", () => {
  assert.throws(() => extractKernel(bzImage(Buffer.from("LZMA-something"))), /format that is not known/);
  assert.throws(() => extractKernel(bzImage(gzipSync(Buffer.alloc(200)))), /not an ELF file/);
  assert.throws(() => extractKernel(bzImage(gzipSync(elf({ note: false }).image))), /no PVH entry/);
});
