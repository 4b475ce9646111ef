/**
 * Bundles the two programs: out/agent.cjs for the guest, and for the host out/caisson.cjs, which only chooses between the
 * others. Beside each of those is the form that V8 compiles it to (runtime/compiled.ts).
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BuildOptions, build, type Plugin } from "esbuild";
import { COMPILING, compiledForm } from "../runtime/compiled.ts";
import { SHIM_DAEMON_WORD, SHIM_NAME } from "../runtime/shim/daemon-word.ts";
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

interface Bundle {
  entry: string;
  plugins: Plugin[];
}

const programs: Record<string, Record<string, Bundle>> = {
  caisson: {
    caisson: { entry: "runtime/main.ts", plugins: [] },
    cli: {
      entry: "runtime/cli/main.ts",
      // runtime/main.ts takes these to the whole.
      plugins: [noSubprograms, leaveOut({ "./check.ts": "./whole.cjs", "./template.ts": "./whole.cjs" })],
    },
    daemon: { entry: "runtime/control/daemon.ts", plugins: [grpcClientHalf] },
    whole: { entry: "runtime/whole.ts", plugins: [noSubprograms, grpcClientHalf] },
    shim: { entry: "runtime/shim/main.ts", plugins: [noSubprograms] },
    "shim-daemon": { entry: "runtime/shim/daemon.ts", plugins: [noSubprograms, grpcClientHalf] },
  },
  agent: { agent: { entry: "agent/main.ts", plugins: [grpcServerHalf] } },
};

const options: BuildOptions = {
  bundle: true,
  platform: "node",
  target: "node24",
  format: "cjs",
  external: ["*.node"],
  define: { CAISSON_VERSION: JSON.stringify(version), "import.meta.dirname": "__dirname" },
  // One bundle loads another by require(), which takes less than an ES module's loader.
  supported: { "dynamic-import": false },
  minifySyntax: true,
  legalComments: "none",
  logLevel: "warning",
};

const wanted = process.argv.slice(2);
for (const program of wanted.length > 0 ? wanted : Object.keys(programs)) {
  const bundles = programs[program];
  if (bundles === undefined) throw new Error(`no program "${program}" to bundle; there are ${Object.keys(programs)}`);
  for (const [name, { entry, plugins }] of Object.entries(bundles)) {
    const outfile = `out/${name}.cjs`;
    rmSync(compiledForm(outfile), { force: true });
    await build({ ...options, entryPoints: [entry], outfile, plugins });
  }
  if (program === "caisson") compile();
}

/**
 * A bundle's compiled form is what processes that have loaded it have compiled when they end: verbs, the shim's daemon, which
 * nobody asks for anything, and one whose container comes as far as a VM can without a kernel. A daemon needs root; without it, more
 * is compiled anew each time.
 */
function compile(): void {
  const folder = mkdtempSync(join(tmpdir(), "caisson-compile-"));
  const settings = join(folder, "config.toml");
  try {
    mkdirSync(join(folder, "rootfs"));
    writeFileSync(settings, 'accelerator = "tcg"\nkernel = "/none"\n');
    run("caisson", "spec", "-b", folder);
    const config = join(folder, "config.json");
    writeFileSync(config, readFileSync(config, "utf8").replace('"terminal": true', '"terminal": false'));
    for (const verb of [["run", "-b", folder, "none"], ["exec", "none", "true"], ["list"], ["delete", "none"]]) {
      run("caisson", "--root", join(folder, "state"), "--config", settings, ...verb);
    }
    run("caisson", "template", "--help");
    run(SHIM_NAME, "-namespace", "none", "-id", "none", "-address", "none", "-bundle", folder, "delete");
    // A log that cannot be opened ends it.
    run(SHIM_DAEMON_WORD, JSON.stringify({ log: folder }));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** How it ends does not matter. */
function run(...args: string[]): void {
  const env = { ...process.env, [COMPILING]: "1" };
  spawnSync(process.execPath, ["out/caisson.cjs", ...args], {
    env,
    stdio: ["ignore", "ignore", "ignore", "pipe"],
    timeout: 10_000,
  });
}
