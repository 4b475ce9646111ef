/**
 * Bundles the two programs: out/agent.cjs for the guest, and for the host out/caisson.cjs, which only chooses between
 * cli.cjs, without all that starts VMs, and whole.cjs. V8's compiled form of the host's is kept in out/compile-cache.
 */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import type { Socket } from "node:net";
import { type BuildOptions, build, type Plugin } from "esbuild";
import { DAEMON_WORD } from "../runtime/control/daemon-word.ts";
import { SHIM_DAEMON_WORD, SHIM_NAME } from "../runtime/shim/daemon-word.ts";
import { grpcServerHalf } from "./grpc-server-half.ts";

const { version } = JSON.parse(readFileSync("package.json", "utf8")) as { version: string };

const COMPILE_CACHE = "out/compile-cache";

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
    caisson: {
      entry: "runtime/main.ts",
      plugins: [
        leaveOut({
          "./cli/main.ts": "./cli.cjs",
          "./whole.ts": "./whole.cjs",
          "./shim/main.ts": "./shim.cjs",
          "./shim/daemon.ts": "./shim-daemon.cjs",
        }),
      ],
    },
    cli: {
      entry: "runtime/cli/main.ts",
      // runtime/main.ts takes these to the whole.
      plugins: [noSubprograms, leaveOut({ "./check.ts": "./whole.cjs", "./template.ts": "./whole.cjs" })],
    },
    whole: { entry: "runtime/whole.ts", plugins: [noSubprograms] },
    shim: { entry: "runtime/shim/main.ts", plugins: [noSubprograms] },
    "shim-daemon": { entry: "runtime/shim/daemon.ts", plugins: [noSubprograms] },
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
    await build({ ...options, entryPoints: [entry], outfile: `out/${name}.cjs`, plugins });
  }
  if (program === "caisson") await fillCompileCache();
}

/**
 * A bundle's compiled form is written when a process that loaded it ends: a verb, and a daemon that nobody asks for
 * anything. The daemon needs root; without it, the first real one writes its own.
 */
async function fillCompileCache(): Promise<void> {
  rmSync(COMPILE_CACHE, { recursive: true, force: true });
  mkdirSync(COMPILE_CACHE);
  execFileSync(process.execPath, ["out/caisson.cjs", "caisson", "--root", "out/none", "list", "--quiet"]);
  const shim = ["-namespace", "none", "-id", "none", "-address", "none", "-bundle", "out", "delete"];
  execFileSync(process.execPath, ["out/caisson.cjs", SHIM_NAME, ...shim]);
  // A log that cannot be opened ends it.
  await daemon(SHIM_DAEMON_WORD, { log: "out" });
  await daemon(DAEMON_WORD, { logFormat: "text", debug: false });
}

async function daemon(word: string, params: object): Promise<void> {
  const child = spawn(process.execPath, ["out/caisson.cjs", word, JSON.stringify(params)], {
    stdio: ["ignore", "ignore", "ignore", "pipe"],
    timeout: 10_000,
  });
  (child.stdio[3] as Socket).end();
  await once(child, "exit");
}
