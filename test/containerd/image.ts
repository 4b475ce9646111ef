import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";

/** Debian's busybox-static. */
const BUSYBOX = "/bin/busybox";
const APPLETS =
  "sh cat echo sleep ls id ps env mount hostname head tail dd touch rm mkdir true false kill ip ping wget nc httpd stty sync test trap yes wc grep seq df stat chmod";
const BLOCK = 512;

type Content = { link: string } | { data: Buffer; mode?: number } | "folder";

export interface Image {
  name: string;
  command: readonly string[];
  /** Beside busybox: paths without a leading slash, parents first. */
  files?: readonly (readonly [path: string, content: Content])[];
  user?: string;
}

/** A tar archive (ustar) with these files, the same for the same files. */
function tar(files: readonly (readonly [name: string, content: Content])[]): Buffer {
  const parts: Buffer[] = [];
  for (const [name, content] of files) {
    const data = typeof content === "object" && "data" in content ? content.data : Buffer.alloc(0);
    const header = Buffer.alloc(BLOCK);
    const put = (text: string, offset: number) => header.write(text, offset, "latin1");
    put(name, 0);
    const mode = typeof content === "object" && "data" in content ? content.mode : undefined;
    put(`${octal(mode ?? 0o755, 7)}\0`, 100);
    put("0000000\0", 108);
    put("0000000\0", 116);
    put(`${octal(data.length, 11)}\0`, 124);
    put("00000000000\0", 136);
    put("        ", 148);
    put(content === "folder" ? "5" : "link" in content ? "2" : "0", 156);
    if (typeof content === "object" && "link" in content) put(content.link, 157);
    put("ustar\x0000", 257);
    put(
      `${octal(
        header.reduce((sum, byte) => sum + byte, 0),
        6,
      )}\0 `,
      148,
    );
    parts.push(header, data, Buffer.alloc((BLOCK - (data.length % BLOCK)) % BLOCK));
  }
  return Buffer.concat([...parts, Buffer.alloc(2 * BLOCK)]);
}

function octal(value: number, digits: number): string {
  return value.toString(8).padStart(digits, "0");
}

/** Writes an OCI image of busybox and other files, for `ctr image import`; nothing is downloaded. */
export function writeImage(path: string, { name, command, files = [], user = "" }: Image): void {
  const layer = tar([
    ...["bin", "dev", "etc", "proc", "root", "sys", "tmp"].map((folder) => [folder, "folder"] as const),
    ["bin/busybox", { data: readFileSync(BUSYBOX) }],
    ...APPLETS.split(" ").map((applet) => [`bin/${applet}`, { link: "busybox" }] as const),
    ["pause", { link: "bin/busybox" }],
    ["etc/passwd", { data: Buffer.from("root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/:/bin/sh\n") }],
    ["etc/group", { data: Buffer.from("root:x:0:\nuser:x:1000:\n") }],
    // The last entry counts of a name that is there twice.
    ...files,
  ]);
  const config = json({
    architecture: "amd64",
    os: "linux",
    config: { Env: ["PATH=/bin:/usr/sbin"], Cmd: command, User: user },
    rootfs: { type: "layers", diff_ids: [digest(layer)] },
  });
  const manifest = json({
    schemaVersion: 2,
    mediaType: "application/vnd.oci.image.manifest.v1+json",
    config: { mediaType: "application/vnd.oci.image.config.v1+json", digest: digest(config), size: config.length },
    layers: [{ mediaType: "application/vnd.oci.image.layer.v1.tar", digest: digest(layer), size: layer.length }],
  });
  const index = json({
    schemaVersion: 2,
    manifests: [
      {
        mediaType: "application/vnd.oci.image.manifest.v1+json",
        digest: digest(manifest),
        size: manifest.length,
        annotations: { "io.containerd.image.name": name },
        platform: { architecture: "amd64", os: "linux" },
      },
    ],
  });
  const blobs = [config, manifest, layer].map(
    (data) => [`blobs/sha256/${digest(data).slice("sha256:".length)}`, { data }] as const,
  );
  const layout = json({ imageLayoutVersion: "1.0.0" });
  writeFileSync(path, tar([["oci-layout", { data: layout }], ["index.json", { data: index }], ...blobs]));
}

function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}

function digest(data: Buffer): string {
  return `sha256:${createHash("sha256").update(data).digest("hex")}`;
}
