/** Leaves out of a configuration, and of a state record, what may be secret: for a report that others read. */
import type { Hook, Spec } from "../../protocol/oci.ts";
import type { StateRecord } from "../state/record.ts";

/** What stands in the place of what was left out. */
export const LEFT_OUT = "<left out>";

/** Annotations that only name things: engines' own. All others' values are their authors' affair. */
const SHOWN_ANNOTATIONS: ReadonlySet<string> = new Set([
  "io.container.manager",
  "io.kubernetes.cri-o.ContainerType",
  "io.kubernetes.cri-o.SandboxID",
  "io.kubernetes.cri.container-name",
  "io.kubernetes.cri.container-type",
  "io.kubernetes.cri.image-name",
  "io.kubernetes.cri.sandbox-id",
  "io.kubernetes.cri.sandbox-name",
  "io.kubernetes.cri.sandbox-namespace",
  "io.kubernetes.cri.sandbox-uid",
]);
/** Our own: settings, and where a shim's sandbox is from. */
const OWN_PREFIX = "io.caisson.";

/** Mount options of network file systems that say who one is: `password=...`. */
const SECRET_OPTION = /^[^=]*(pass|secret|token|key|cred|auth)[^=]*=/i;
/** Settings whose values authenticate. */
const SECRET_SETTING = /^(\s*[\w-]*(?:header|token|secret|password)[\w-]*\s*=\s*).*$/gim;

type Annotations = Record<string, string> | undefined;

/** The configuration without the values of variables and annotations, without arguments, and without secret mount options. */
export function redactConfig(spec: Spec): Spec {
  const { process, annotations, mounts, hooks } = spec;
  return {
    ...spec,
    ...(annotations && { annotations: redactAnnotations(annotations) }),
    ...(process && { process: { ...process, ...redactProgram(process) } }),
    ...(mounts && { mounts: mounts.map((mount) => ({ ...mount, ...redactOptions(mount.options) })) }),
    ...(hooks && {
      hooks: Object.fromEntries(Object.entries(hooks).map(([name, list]) => [name, (list as Hook[]).map(redactHook)])),
    }),
  };
}

export function redactRecord(record: StateRecord): StateRecord {
  const { annotations, poststop } = record;
  return {
    ...record,
    ...(annotations && { annotations: redactAnnotations(annotations) }),
    ...(poststop && { poststop: poststop.map(redactHook) }),
  };
}

/** The text of a settings file. */
export function redactSettings(text: string): string {
  return text.replaceAll(SECRET_SETTING, `$1"${LEFT_OUT}"`);
}

function redactAnnotations(annotations: Record<string, string>): Annotations {
  return Object.fromEntries(
    Object.entries(annotations).map(([key, value]) => {
      const shown = SHOWN_ANNOTATIONS.has(key) || key.startsWith(OWN_PREFIX);
      return [key, shown ? value : LEFT_OUT];
    }),
  );
}

function redactHook(hook: Hook): Hook {
  return { ...hook, ...redactProgram(hook) };
}

/** Arguments may be passwords; the first is the program's name. */
function redactProgram({ args, env }: { args?: string[] | undefined; env?: string[] | undefined }) {
  return {
    ...(args && { args: args.map((word, index) => (index === 0 ? word : LEFT_OUT)) }),
    ...(env && { env: env.map((variable) => `${variable.split("=", 1)[0]}=${LEFT_OUT}`) }),
  };
}

function redactOptions(options: string[] | undefined) {
  const redact = (option: string) =>
    SECRET_OPTION.test(option) ? `${option.slice(0, option.indexOf("=") + 1)}${LEFT_OUT}` : option;
  return options && { options: options.map(redact) };
}
