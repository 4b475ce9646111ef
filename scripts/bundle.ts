/** Bundles the two programs, one file each: out/caisson.cjs for the host, out/agent.cjs for the guest. */
import { readFileSync } from "node:fs";
import { build } from "esbuild";
import { grpcServerHalf } from "./grpc-server-half.ts";

const { version } = JSON.parse(readFileSync("package.json", "utf8")) as { version: string };

const programs: Record<string, string> = {
  caisson: "runtime/main.ts",
  agent: "agent/main.ts",
};
const wanted = process.argv.slice(2);

for (const name of wanted.length > 0 ? wanted : Object.keys(programs)) {
  const entry = programs[name];
  if (entry === undefined) throw new Error(`no program "${name}" to bundle; there are ${Object.keys(programs)}`);
  await build({
    entryPoints: [entry],
    outfile: `out/${name}.cjs`,
    bundle: true,
    platform: "node",
    target: "node24",
    format: "cjs",
    external: ["*.node"],
    define: { CAISSON_VERSION: JSON.stringify(version), "import.meta.dirname": "__dirname" },
    plugins: name === "agent" ? [grpcServerHalf] : [],
    minifySyntax: true,
    legalComments: "none",
    logLevel: "warning",
  });
}
