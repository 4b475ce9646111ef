/**
 * Bundles the two programs: out/agent.cjs for the guest, and for the host out/caisson.cjs, which only chooses between
 * cli.cjs and daemon.cjs. V8's compiled form of the host's is kept in out/compile-cache: it saves a verb 6 ms.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { build, type Plugin } from "esbuild";
import { grpcServerHalf } from "./grpc-server-half.ts";

const { version } = JSON.parse(readFileSync("package.json", "utf8")) as { version: string };

/** Bundles of a program, each with the file it starts from. */
const programs: Record<string, Record<string, string>> = {
  caisson: { caisson: "runtime/main.ts", cli: "runtime/cli/main.ts", daemon: "runtime/control/daemon.ts" },
  agent: { agent: "agent/main.ts" },
};
const COMPILE_CACHE = "out/compile-cache";

/** What runtime/main.ts loads lazily is a bundle of its own. */
const separateBundles: Plugin = {
  name: "separate bundles",
  setup({ onResolve }) {
    onResolve({ filter: /^\./ }, ({ kind, importer, path }) => {
      if (kind !== "dynamic-import" || !importer.endsWith("/runtime/main.ts")) return undefined;
      const entry = Object.entries(programs["caisson"] ?? {}).find(
        ([, source]) => source === `runtime/${path.slice(2)}`,
      );
      if (entry === undefined) throw new Error(`runtime/main.ts loads ${path}, which is no bundle`);
      return { path: `./${entry[0]}.cjs`, external: true };
    });
  },
};

/** Commander can run verbs as programs of their own; ours are none, and loading node:child_process takes 4 ms. */
const noSubprograms: Plugin = {
  name: "no subprograms",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^node:child_process$/ }, ({ importer }) =>
      importer.includes("/node_modules/commander/") ? { path: "none", namespace: "none" } : undefined,
    );
    onLoad({ filter: /./, namespace: "none" }, () => ({ contents: "export default {};" }));
  },
};
const wanted = process.argv.slice(2);

for (const name of wanted.length > 0 ? wanted : Object.keys(programs)) {
  const bundles = programs[name];
  if (bundles === undefined) throw new Error(`no program "${name}" to bundle; there are ${Object.keys(programs)}`);
  await build({
    entryPoints: bundles,
    outdir: "out",
    outExtension: { ".js": ".cjs" },
    bundle: true,
    platform: "node",
    target: "node24",
    format: "cjs",
    external: ["*.node"],
    define: { CAISSON_VERSION: JSON.stringify(version), "import.meta.dirname": "__dirname" },
    plugins: name === "agent" ? [grpcServerHalf] : [separateBundles, noSubprograms],
    // Of an external bundle: by require(), which is faster than an ES module's loader.
    supported: { "dynamic-import": false },
    minifySyntax: true,
    legalComments: "none",
    logLevel: "warning",
  });
  if (name === "caisson") fillCompileCache();
}

/** A bundle's compiled form is written when a process that loaded it ends. */
function fillCompileCache(): void {
  rmSync(COMPILE_CACHE, { recursive: true, force: true });
  mkdirSync(COMPILE_CACHE);
  execFileSync(process.execPath, ["out/caisson.cjs", "caisson", "--root", "out/none", "list", "--quiet"]);
}
