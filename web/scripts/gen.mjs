// Writes src/client/protocol.gen.ts from ../server/protocol.schema.json, so that the page and the server
// cannot drift apart. `--check` writes nothing and fails when the file on disk is stale.
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const schemaPath = fileURLToPath(new URL("../../server/protocol.schema.json", import.meta.url));
const outPath = fileURLToPath(new URL("../src/client/protocol.gen.ts", import.meta.url));

const nameOf = (ref) => ref.slice(ref.lastIndexOf("/") + 1);

function typeOf(schema) {
  if (schema.$ref) return nameOf(schema.$ref);
  const options = schema.anyOf ?? schema.oneOf;
  if (options) return options.map(typeOf).join(" | ");
  if ("const" in schema) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  switch (schema.type) {
    case "integer":
    case "number":
      return "number";
    case "string":
    case "boolean":
    case "null":
      return schema.type;
    case "array":
      return `(${typeOf(schema.items ?? {})})[]`.replace(/^\((\w+)\)/, "$1");
    case "object":
      return schema.properties ? `{ ${fieldsOf(schema).join(" ")} }` : "Record<string, unknown>";
    default:
      return "unknown";
  }
}

function fieldsOf(schema) {
  const required = new Set(schema.required ?? []);
  return Object.entries(schema.properties).map(
    ([name, field]) => `${name}${required.has(name) ? "" : "?"}: ${typeOf(field)};`,
  );
}

function declaration(name, schema) {
  const doc = schema.description ? `/** ${schema.description.replace(/\s+/g, " ").trim()} */\n` : "";
  if (schema.type === "object" && schema.properties) {
    return `${doc}export interface ${name} {\n${fieldsOf(schema)
      .map((field) => `  ${field}`)
      .join("\n")}\n}`;
  }
  return `${doc}export type ${name} = ${typeOf(schema)};`;
}

function generate(schema) {
  const defs = schema.$defs ?? schema.definitions ?? {};
  const parts = Object.entries(defs).map(([name, def]) => declaration(name, def));
  for (const name of ["ClientMessage", "ServerMessage"]) {
    const union = schema.properties?.[name];
    if (!(name in defs) && union) parts.push(declaration(name, union));
  }
  return `// Generated from server/protocol.schema.json by \`npm run gen\`. Do not edit.\n\n${parts.join("\n\n")}\n`;
}

const text = generate(JSON.parse(readFileSync(schemaPath, "utf8")));
if (process.argv.includes("--check")) {
  if (readFileSync(outPath, "utf8") !== text) {
    console.error("src/client/protocol.gen.ts is stale: run `npm run gen` and commit what it writes");
    process.exit(1);
  }
} else {
  writeFileSync(outPath, text);
  console.log(`wrote ${outPath}`);
}
