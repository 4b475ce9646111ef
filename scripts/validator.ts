/**
 * Compiles the JSON schema of runtime/oci/schema to runtime/oci/generated/validator.js, so that the runtime neither
 * loads ajv nor compiles a schema when a container starts.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { Ajv } from "ajv";
import standalone from "ajv/dist/standalone/index.js";
import { transformSync } from "esbuild";
import { sections } from "../runtime/oci/schema/config.ts";
import { integerKeyword } from "../runtime/oci/schema/integer.ts";

const folder = new URL("../runtime/oci/generated/", import.meta.url);

const ajv = new Ajv({
  allErrors: true,
  messages: true,
  strict: true,
  inlineRefs: false,
  code: { source: true, esm: true },
});
ajv.addKeyword(integerKeyword);
for (const [name, schema] of Object.entries(sections)) ajv.addSchema(schema, name);
const names = { validateConfig: "config", validateProcess: "process", validateResources: "resources" };

mkdirSync(folder, { recursive: true });
// The code repeats itself much: minified it is a third smaller, and read that much faster at every start.
const { code } = transformSync(standalone.default(ajv, names), { minify: true, format: "esm" });
writeFileSync(new URL("validator.js", folder), code);
writeFileSync(
  new URL("validator.d.ts", folder),
  `import type { ValidateFunction } from "ajv";\n${Object.keys(names)
    .map((name) => `export const ${name}: ValidateFunction;\n`)
    .join("")}`,
);
