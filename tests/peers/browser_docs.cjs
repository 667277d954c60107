// Uses the gateway's Swagger UI with a real browser as an integrator does: authorizes with an API key, finds an operation by its id, and runs it.
//
//     node browser_docs.cjs '{"chromium": PATH, "docs": URL, "folder": PATH, "key": API key, "operation": ID, "values": {PARAMETER: TEXT}, "request": TEXT}'
//
// It prints {"found": [ids that the filter shows], "shown": [statuses that the operation shows], "all": [those it shows on demand], "status": TEXT, "body": TEXT, "blocked": [what the page's policy refused]}.

const { execute, open, run, sleep, unfold } = require("./browser.cjs");

run(async (config) => {
  const page = await open(config, config.docs);
  await page.click("the button", "document.querySelector('.auth-wrapper .authorize')");
  await page.type("the place for the key", "document.querySelector('.auth-container input')", config.key);
  await page.click("the button of the form", "document.querySelector('.auth-container .authorize')");
  await page.click("the close button", "document.querySelector('.btn-done')");
  await page.type("the filter", "document.querySelector('.operation-filter-input')", config.operation);
  const shown = "[...document.querySelectorAll('.opblock')].map((one) => one.id.split('-').pop())";
  await page.until("the operation in sight", `${shown}.includes("${config.operation}")`);
  const found = await page.evaluate(shown);
  const operation = `document.querySelector('[id$="-${config.operation}"]')`;
  await unfold(page, operation);
  const statuses = `[...${operation}.querySelectorAll('.responses-table:not(.live-responses-table) tr.response .response-col_status')].map((one) => parseInt(one.innerText))`;
  await page.until("the responses", `${statuses}.length > 0`);
  const answers = await page.evaluate(statuses);
  await page.click("the button for the refusals", `${operation}.querySelector('button.refusals')`);
  await page.until("the refusals", `${statuses}.length > ${answers.length}`);
  const all = await page.evaluate(statuses);
  for (const [name, text] of Object.entries(config.values)) {
    await page.type(name, `${operation}.querySelector('tr[data-param-name="${name}"] input')`, text);
  }
  await page.type("the body", `${operation}.querySelector('textarea.body-param__text')`, config.request);
  // The page takes over what is typed once nothing more is typed for a third of a second.
  await sleep(1_000);
  const told = { found, shown: answers, all, ...(await execute(page, operation)), blocked: page.blocked() };
  await page.close();
  return told;
});
