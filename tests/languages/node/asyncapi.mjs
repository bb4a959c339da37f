// Parses an AsyncAPI document with the official parser; writes what it says against it, and what it found in it.
//
//     node asyncapi.mjs <folder of node_modules> <document>

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const [packages, file] = process.argv.slice(2);
const require = createRequire(join(packages, "package.json"));
const { Parser } = require("@asyncapi/parser");

const { document, diagnostics } = await new Parser().parse(readFileSync(file, "utf8"));
const channels = document?.channels().all() ?? [];
console.log(
  JSON.stringify({
    diagnostics: diagnostics.map(({ severity, code, message, path }) => ({ severity, code, message, path })),
    version: document?.version(),
    channels: Object.fromEntries(
      channels.map((channel) => [channel.id(), channel.messages().all().map((message) => message.name())]),
    ),
    operations: (document?.operations().all() ?? []).map((operation) => operation.id()),
  }),
);
