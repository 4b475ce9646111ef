/** node:crypto takes 10 ms to load, which a start that needs none of it before its VM runs does not spend. */
function crypto(): typeof import("node:crypto") {
  return process.getBuiltinModule("node:crypto");
}

/** The SHA-256 of a text, in bytes. */
export function sha256(text: string): Buffer {
  return crypto().createHash("sha256").update(text).digest();
}

/** Bytes that nobody can foretell. */
export function randomBytes(count: number): Buffer {
  return crypto().randomBytes(count);
}
