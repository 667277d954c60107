// Parses an AsyncAPI document with the official parser, and prints what it finds wrong. Usage: node asyncapi.cjs DOCUMENT
const { readFileSync } = require("node:fs");
const { createRequire } = require("node:module");

// The packages lie where tools/npm-packages has put them.
const { Parser } = createRequire(`${process.env.BILLWIRE_NODE_PACKAGES}/`)("@asyncapi/parser");

(async () => {
  const { document, diagnostics } = await new Parser().parse(readFileSync(process.argv[2], "utf8"));
  // That a newer version of AsyncAPI exists is no fault of the document.
  const faults = diagnostics.filter((one) => one.code !== "asyncapi-latest-version");
  for (const { code, message, path } of faults.slice(0, 20)) console.error(`${path.join("/")}: ${code}: ${message}`);
  if (faults.length > 0 || document === undefined || document.channels().isEmpty()) {
    console.error(`${faults.length} faults, ${document?.channels().length ?? 0} channels`);
    process.exit(1);
  }
})();
