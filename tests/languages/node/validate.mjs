// Reads one message a line, decodes it and validates it with Ajv in strict mode; writes one verdict a line.
//
//     node validate.mjs <folder of node_modules> <folder of the schemas>
//
// A schema that Ajv does not take (a keyword it does not know, a type that is missing) ends the program.

import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const [packages, folder] = process.argv.slice(2);
const require = createRequire(join(packages, "package.json"));
const Ajv = require("ajv/dist/2020").default;
const addFormats = require("ajv-formats").default;

const ajv = new Ajv({ strict: true, allErrors: true });
addFormats(ajv);
const validators = new Map();
for (const file of readdirSync(folder)) {
  validators.set(file.replace(/\.json$/, ""), ajv.compile(JSON.parse(readFileSync(join(folder, file), "utf8"))));
}

function against(text) {
  let message;
  try {
    message = JSON.parse(text);
  } catch (error) {
    return String(error);
  }
  const validate = validators.get(message?.type);
  if (validate === undefined) return "no message of that type";
  return validate(message) ? "" : ajv.errorsText(validate.errors);
}

for (const line of readFileSync(0, "utf8").split("\n")) {
  if (line === "") continue;
  const { name, text } = JSON.parse(line);
  const why = against(text);
  console.log(JSON.stringify({ name, valid: why === "", why }));
}
