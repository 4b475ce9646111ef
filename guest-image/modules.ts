/** What depmod wrote about a kernel's modules (modules.dep(5), modules.softdep, modules.alias, modules.builtin). */
export interface ModuleIndex {
  /** Module name to its path below the kernel's module folder. */
  paths: Map<string, string>;
  /** Module name to the names of all it depends on, each before what needs it. */
  depends: Map<string, string[]>;
  /** Module name to names or aliases that have to be loaded before it. */
  softDepends: Map<string, string[]>;
  /** Alias to the names of the modules that answer to it. */
  aliases: Map<string, string[]>;
  builtIn: Set<string>;
}

/** File names may have hyphens where module names have underscores (modprobe(8)). */
export function moduleName(path: string): string {
  return path
    .replace(/^.*\//, "")
    .replace(/\.ko(\.\w+)?$/, "")
    .replaceAll("-", "_");
}

/** @param files the texts of depmod's files of the same names. */
export function parseModuleIndex(files: { dep: string; softdep: string; alias: string; builtin: string }): ModuleIndex {
  const index: ModuleIndex = {
    paths: new Map(),
    depends: new Map(),
    softDepends: new Map(),
    aliases: new Map(),
    builtIn: new Set(linesOf(files.builtin).map(moduleName)),
  };
  for (const line of linesOf(files.dep)) {
    const [path = "", depends = ""] = line.split(":");
    index.paths.set(moduleName(path), path);
    // modules.dep lists the closest dependency first (modules.dep(5)).
    index.depends.set(moduleName(path), wordsOf(depends).map(moduleName).reverse());
  }
  for (const line of linesOf(files.softdep)) {
    const [keyword, name, ...rest] = wordsOf(line);
    if (keyword !== "softdep" || name === undefined) continue;
    const post = rest.indexOf("post:");
    const before = (post < 0 ? rest : rest.slice(0, post)).filter((word) => word !== "pre:");
    append(index.softDepends, moduleName(name), before);
  }
  for (const line of linesOf(files.alias)) {
    const [keyword, alias, name] = wordsOf(line);
    if (keyword === "alias" && alias !== undefined && name !== undefined)
      append(index.aliases, alias, [moduleName(name)]);
  }
  return index;
}

/**
 * The modules to load for `names`, in an order that works: whatever a module needs comes before it, soft dependencies
 * included. What is built in is left out, and nothing comes twice.
 * @throws Error for a name that is neither a module nor built in.
 */
export function loadOrder(index: ModuleIndex, names: string[]): string[] {
  const order: string[] = [];
  const visiting = new Set<string>();
  const visit = (name: string): void => {
    if (order.includes(name) || visiting.has(name) || index.builtIn.has(name)) return;
    if (!index.paths.has(name)) throw new Error(`the kernel has no module ${name}, neither loadable nor built in`);
    // A soft dependency may be circular; the module that is reached first then loads last.
    visiting.add(name);
    for (const soft of index.softDepends.get(name) ?? []) {
      for (const module of resolve(index, soft)) visit(module);
    }
    for (const module of index.depends.get(name) ?? []) visit(module);
    order.push(name);
  };
  for (const name of names) visit(moduleName(name));
  return order;
}

/** A soft dependency that no module answers to is none (modprobe.d(5)). */
function resolve(index: ModuleIndex, nameOrAlias: string): string[] {
  const name = moduleName(nameOrAlias);
  return index.paths.has(name) ? [name] : (index.aliases.get(nameOrAlias) ?? []);
}

/** A line of load.txt. */
export interface LoadRule {
  condition: string;
  modules: string[];
  /** In place of modules: what PID 1 writes to a file, as FILE=VALUE. */
  setting?: string;
}

/**
 * Parses load.txt.
 * @throws Error that names the line which PID 1 would not understand.
 */
export function parseLoadRules(text: string): LoadRule[] {
  return linesOf(text).map((line) => {
    const [condition = "", ...modules] = wordsOf(line);
    if (modules.length === 0) throw new Error(`load.txt: "${line}" is not "CONDITION MODULE..."`);
    if (!/^(always|path:\/\S+|virtio:\d+)$/.test(condition)) {
      throw new Error(`load.txt: the condition "${condition}" is none of always, path:FOLDER, virtio:ID`);
    }
    const [setting = ""] = modules;
    if (!modules.some((word) => word.includes("="))) return { condition, modules };
    if (modules.length > 1 || !/^\/[^\s=]+=[^\s=]+$/.test(setting)) {
      throw new Error(`load.txt: "${line}" has a setting that is not "CONDITION FILE=VALUE"`);
    }
    return { condition, modules: [], setting };
  });
}

/** The list that PID 1 reads: per line a condition and a setting, or the paths of modules in the order to load them. */
export function renderLoadList(rules: LoadRule[], index: ModuleIndex, pathOf: (module: string) => string): string {
  return rules
    .map(({ condition, modules, setting }) =>
      [condition, ...(setting === undefined ? loadOrder(index, modules).map(pathOf) : [setting])].join(" "),
    )
    .map((line) => `${line}\n`)
    .join("");
}

/** Lines without comments and blank ones. */
export function linesOf(text: string): string[] {
  return text
    .split("\n")
    .map((line) => line.replace(/#.*/, "").trim())
    .filter((line) => line !== "");
}

function wordsOf(line: string): string[] {
  return line.split(/\s+/).filter((word) => word !== "");
}

function append(map: Map<string, string[]>, key: string, values: string[]): void {
  map.set(key, [...(map.get(key) ?? []), ...values]);
}
