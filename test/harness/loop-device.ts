import { execFileSync } from "node:child_process";
import { existsSync, statSync } from "node:fs";

/** A block device of the host on an image (losetup(8)); let go when disposed of. */
export class LoopDevice implements Disposable {
  readonly path: string;
  readonly major: number;
  readonly minor: number;

  constructor(image: string, options: readonly string[] = []) {
    this.path = execFileSync("losetup", ["--find", "--show", ...options, image], { encoding: "utf8" }).trim();
    // makedev(3); the numbers of loop devices are small.
    const { rdev } = statSync(this.path);
    this.major = rdev >> 8;
    this.minor = rdev & 0xff;
  }

  /** Whether this host has them, for who may use them. */
  static canBe(): boolean {
    return process.getuid?.() === 0 && existsSync("/dev/loop-control");
  }

  [Symbol.dispose](): void {
    execFileSync("losetup", ["--detach", this.path]);
  }
}
