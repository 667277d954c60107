// Signs in on the gateway's Swagger UI with a real browser, and calls an operation with the token.
//
//     node browser_sign_in.cjs '{"chromium": PATH, "docs": URL, "issuer": URL, "address": IP:PORT, "folder": PATH, "operation": ID}'
//
// It prints {"authorized": TEXT of the dialog, "status": TEXT, "body": TEXT, "blocked": [what the page's policy refused]}.

const { execute, open, run, sleep, unfold } = require("./browser.cjs");

run(async (config) => {
  const host = new URL(config.issuer).host;
  const page = await open(config, config.docs, [`--host-resolver-rules=MAP ${host}:443 ${config.address}`, "--ignore-certificate-errors"]);
  const { until, click } = page;
  const form = "[...document.querySelectorAll('.auth-container')].find((one) => one.innerText.includes('authorization_code'))";
  // The dialog shows what is known when it is opened.
  const discovered = `performance.getEntriesByType("resource").some(({ name }) => name.endsWith("/.well-known/openid-configuration"))`;
  await until("the provider's configuration", discovered);
  await sleep(1_000);
  await click("the button", "document.querySelector('.auth-wrapper .authorize')");
  await until("one form for the provider", `${form} && document.querySelectorAll('.auth-container').length === 2`);
  await click("the button of the form", `${form}.querySelector('.authorize')`);
  const authorized = await until("the sign-in", `${form}?.innerText.includes('Authorized') && ${form}.innerText`);
  await click("the close button", "document.querySelector('.btn-done')");
  // Swagger UI makes what is in sight, and this is the first.
  const operation = `document.querySelector('[id$="-${config.operation}"]')`;
  await unfold(page, operation);
  const told = { authorized, ...(await execute(page, operation)), blocked: page.blocked() };
  await page.close();
  return told;
});
