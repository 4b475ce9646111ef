/**
 * Bundles the two programs: out/agent.cjs and what it loads for the guest, and for the host out/caisson.cjs, which only chooses between the
 * others. scripts/compile.sh adds the form that V8 compiles each of those to (runtime/process/code-cache.ts).
 */
import { readFileSync, rmSync } from "node:fs";
import { type BuildOptions, build, type Plugin } from "esbuild";
import { compiledForm } from "../runtime/process/code-cache.ts";
import { grpcClientHalf } from "./grpc-client-half.ts";
import { grpcServerHalf } from "./grpc-server-half.ts";

const { version } = JSON.parse(readFileSync("package.json", "utf8")) as { version: string };

/** Modules that a bundle leaves to another one, by how they are imported. */
function leaveOut(modules: Record<string, string>): Plugin {
  return {
    name: "leave out",
    setup({ onResolve }) {
      onResolve({ filter: /^\./ }, ({ kind, path }) => {
        const other = modules[path];
        return kind === "dynamic-import" && other !== undefined ? { path: other, external: true } : undefined;
      });
    },
  };
}

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

/** Verbs that runtime/main.ts takes to other bundles than the command line's. */
const VM_STARTING = ["check", "template"];
const OPERATING = ["collect", "logs", "metrics", "monitor", "shell", "trace"];

function verbsOf(bundle: string, verbs: readonly string[]): Record<string, string> {
  return Object.fromEntries(verbs.map((verb) => [`./${verb}.ts`, `./${bundle}.cjs`]));
}

interface Bundle {
  entry: string;
  plugins: Plugin[];
}

const programs: Record<string, Record<string, Bundle>> = {
  caisson: {
    caisson: { entry: "runtime/main.ts", plugins: [] },
    cli: {
      entry: "runtime/cli/main.ts",
      plugins: [noSubprograms, leaveOut({ ...verbsOf("vm-starters", VM_STARTING), ...verbsOf("operator", OPERATING) })],
    },
    quick: { entry: "runtime/cli/quick.ts", plugins: [] },
    exec: { entry: "runtime/cli/quick-exec.ts", plugins: [] },
    daemon: { entry: "runtime/daemon/daemon.ts", plugins: [grpcClientHalf] },
    "vm-starters": { entry: "runtime/vm-starters.ts", plugins: [noSubprograms, grpcClientHalf] },
    operator: { entry: "runtime/operator.ts", plugins: [noSubprograms, grpcClientHalf] },
    shim: { entry: "runtime/shim/main.ts", plugins: [noSubprograms] },
    "shim-daemon": { entry: "runtime/shim/daemon.ts", plugins: [noSubprograms, grpcClientHalf] },
  },
  agent: {
    agent: { entry: "agent/start.ts", plugins: [] },
    "agent-main": { entry: "agent/main.ts", plugins: [grpcServerHalf] },
  },
};

const options: BuildOptions = {
  bundle: true,
  platform: "node",
  target: "node24",
  format: "cjs",
  external: ["*.node"],
  define: { CAISSON_VERSION: JSON.stringify(version), "import.meta.dirname": "__dirname" },
  // A bundle loads another by require(), which takes less than an ES module's loader.
  supported: { "dynamic-import": false },
  minifySyntax: true,
  // Each process has the source in its memory.
  minifyWhitespace: true,
  legalComments: "none",
  logLevel: "warning",
};

const wanted = process.argv.slice(2);
for (const program of wanted.length > 0 ? wanted : Object.keys(programs)) {
  const bundles = programs[program];
  if (bundles === undefined) throw new Error(`no program "${program}" to bundle; there are ${Object.keys(programs)}`);
  for (const [name, { entry, plugins }] of Object.entries(bundles)) {
    const outfile = `out/${name}.cjs`;
    // The compiled form of a former bundle goes, and the bundle itself: processes have it mapped, so it is not written to.
    for (const former of [compiledForm(outfile), outfile]) rmSync(former, { force: true });
    await build({ ...options, entryPoints: [entry], outfile, plugins });
  }
}
