// Reads a JSON list of custom resources and writes a list of what is wrong with each; an empty text if nothing is.
//
//     node validate.mjs <folder of node_modules>
//
// Strict: a field that its definition does not have is wrong, too. The packages' own validators pass over such fields, so
// each resource is shown to them through a proxy: what a validator never asks for, its definition does not have.

import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";

const PACKAGES = {
  "external-secrets.io": "external-secrets",
  "keda.sh": "keda",
  "monitoring.coreos.com": "prometheus-operator",
};
const [packages] = process.argv.slice(2);

// A proxy of a value, which adds to `asked` every path that is read; reading all keys of a map counts for each of them.
function watched(value, path, asked) {
  if (value === null || typeof value !== "object") return value;
  return new Proxy(value, {
    get(target, key) {
      if (typeof key === "string") asked.add(`${path}/${key}`);
      return watched(target[key], `${path}/${String(key)}`, asked);
    },
    ownKeys(target) {
      for (const key of Object.keys(target)) asked.add(`${path}/${key}`);
      return Reflect.ownKeys(target);
    },
  });
}

function* unasked(value, path, asked) {
  if (value === null || typeof value !== "object") return;
  for (const [key, inner] of Object.entries(value)) {
    const here = `${path}/${key}`;
    if (asked.has(here)) yield* unasked(inner, here, asked);
    else yield here;
  }
}

// The validator itself, which a package's model imports: the model would copy the resource first, and so ask for all.
async function validator({ apiVersion, kind }) {
  const [group, version] = apiVersion.split("/");
  const model = join(packages, "@kubernetes-models", PACKAGES[group] ?? "unknown", group, version, `${kind}.js`);
  const [, file] = /validate\}from"([^"]*_schemas[^"]*)"/.exec(readFileSync(model, "utf8"));
  return (await import(pathToFileURL(join(dirname(model), file)).href)).validate;
}

async function wrong(resource) {
  const validate = await validator(resource);
  const asked = new Set();
  if (!validate(watched(resource, "", asked))) {
    return validate.errors.map((it) => `${it.instancePath} ${it.keyword} ${JSON.stringify(it.params)}`).join("; ");
  }
  const unknown = [...unasked(resource, "", asked)];
  return unknown.length ? `unknown fields: ${unknown.join(", ")}` : "";
}

const resources = JSON.parse(readFileSync(0, "utf8"));
process.stdout.write(JSON.stringify(await Promise.all(resources.map(wrong))));
