import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { Image } from "./image.ts";

export const NGINX_IMAGE = "localhost/caisson-nginx:latest";
export const NGINX_USER = "www-data";

const DOWNLOAD_LIMIT_MS = 60_000;
const SETTINGS = `user ${NGINX_USER};
pid /var/run/nginx.pid;
events {}
http {
  include /etc/nginx/mime.types;
  server {
    listen 80;
    listen [::]:80;
    root /usr/share/nginx/html;
  }
}
`;

/**
 * An image of Debian's nginx and the libraries that it needs, the host's.
 * @throws Error when the packages cannot be downloaded, or the host lacks a library.
 */
export function nginxImage(name = NGINX_IMAGE, settings = SETTINGS): Image {
  const folder = mkdtempSync(join(tmpdir(), "caisson-nginx-"));
  try {
    const run = (program: string, ...args: string[]) =>
      execFileSync(program, args, { cwd: folder, encoding: "utf8", timeout: DOWNLOAD_LIMIT_MS, stdio: "pipe" });
    run("apt-get", "download", "--quiet", "nginx", "nginx-common");
    run("sh", "-c", "for package in *.deb; do dpkg-deb -x $package .; done");
    const needed = run("ldd", "usr/sbin/nginx");
    if (needed.includes("not found")) throw new Error(`the host lacks libraries of nginx: ${needed}`);
    const libraries = [...needed.matchAll(/(\/\S+) \(/g)].map(([, path = ""]) => path);
    const own = ["usr/sbin/nginx", "etc/nginx/mime.types", "usr/share/nginx/html/index.html"];
    const files = [
      ...libraries.map((path) => [path.slice(1), readFileSync(path)] as const),
      ...own.map((path) => [path, readFileSync(join(folder, path))] as const),
      ["etc/nginx/nginx.conf", Buffer.from(settings)] as const,
      ["etc/passwd", Buffer.from(`root:x:0:0:root:/root:/bin/sh\n${NGINX_USER}:x:33:33::/:/bin/sh\n`)] as const,
      ["etc/group", Buffer.from(`root:x:0:\n${NGINX_USER}:x:33:\n`)] as const,
    ];
    const folders = files.flatMap(([path]) => parents(path));
    return {
      name,
      command: ["nginx", "-g", "daemon off;"],
      files: [
        ...[...new Set([...folders, "var", "var/run", "var/log", "var/log/nginx", "var/lib", "var/lib/nginx"])]
          .sort()
          .map((path) => [path, "folder"] as const),
        ...files.map(([path, data]) => [path, { data }] as const),
      ],
    };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function parents(path: string): string[] {
  const parent = dirname(path);
  return parent === "." ? [] : [...parents(parent), parent];
}
