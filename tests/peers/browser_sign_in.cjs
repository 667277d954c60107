// Signs in on the gateway's Swagger UI with a real browser, over the DevTools protocol, and calls an operation with the token.
//
//     node browser_sign_in.cjs '{"chromium": PATH, "docs": URL, "issuer": URL, "address": IP:PORT, "folder": PATH, "operation": ID}'
//
// It prints {"authorized": TEXT of the dialog, "status": TEXT, "body": TEXT, "blocked": [what the page's policy refused]}.

const { spawn } = require("node:child_process");

const config = JSON.parse(process.argv[2]);
const PATIENCE_MS = 60_000;

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

async function browser() {
  const host = new URL(config.issuer).host;
  const child = spawn(config.chromium, [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0", `--user-data-dir=${config.folder}`,
    `--host-resolver-rules=MAP ${host}:443 ${config.address}`, "--ignore-certificate-errors", "about:blank",
  ]);
  process.on("exit", () => child.kill());
  const url = await new Promise((done, failed) => {
    let said = "";
    child.stderr.on("data", (data) => {
      said += data;
      const found = said.match(/DevTools listening on (ws:\S+)/);
      if (found) done(found[1]);
    });
    child.on("exit", () => failed(new Error(`the browser ended: ${said}`)));
  });
  const socket = new WebSocket(url);
  await new Promise((done, failed) => {
    socket.onopen = done;
    socket.onerror = failed;
  });
  const waiting = new Map();
  const heard = [];
  let number = 0;
  socket.onmessage = ({ data }) => {
    const message = JSON.parse(data);
    if (message.id) {
      waiting.get(message.id)(message);
      waiting.delete(message.id);
    } else {
      heard.push(message);
    }
  };
  const send = (method, params = {}, sessionId) =>
    new Promise((done, failed) => {
      const id = (number += 1);
      waiting.set(id, ({ error, result }) => (error ? failed(new Error(`${method}: ${error.message}`)) : done(result)));
      socket.send(JSON.stringify({ id, method, params, sessionId }));
    });
  return { child, send, heard };
}

async function main() {
  const { child, send, heard } = await browser();
  const { targetId } = await send("Target.createTarget", { url: "about:blank" });
  const { sessionId } = await send("Target.attachToTarget", { targetId, flatten: true });
  for (const domain of ["Page", "Runtime", "Log"]) await send(`${domain}.enable`, {}, sessionId);
  await send("Page.navigate", { url: config.docs }, sessionId);
  const evaluate = async (expression) => {
    const { result, exceptionDetails } = await send("Runtime.evaluate", { expression, awaitPromise: true, userGesture: true }, sessionId);
    if (exceptionDetails) throw new Error(`${expression}: ${exceptionDetails.exception?.description}`);
    return result.value;
  };
  const until = async (what, expression) => {
    const end = Date.now() + PATIENCE_MS;
    while (Date.now() < end) {
      const found = await evaluate(expression);
      if (found) return found;
      await sleep(100);
    }
    throw new Error(`still missing: ${what}: ${await evaluate("(document.querySelector('.dialog-ux') ?? document.body).innerText.slice(0, 2000)")}`);
  };
  const click = (what, expression) => until(what, `(() => { const found = ${expression}; if (found) found.click(); return Boolean(found); })()`);
  const form = "[...document.querySelectorAll('.auth-container')].find((one) => one.innerText.includes('authorization_code'))";
  // The dialog shows what is known when it is opened.
  const discovered = `performance.getEntriesByType("resource").some(({ name }) => name.endsWith("/.well-known/openid-configuration"))`;
  await until("the provider's configuration", discovered);
  await sleep(1_000);
  await click("the button", "document.querySelector('.auth-wrapper .authorize')");
  await until("one form for the provider", `${form} && document.querySelectorAll('.auth-container').length === 2`);
  await click("the button of the form", `${form}.querySelector('.authorize')`);
  const authorized = await until("the sign-in", `${form}?.innerText.includes('Authorized') && ${form}.innerText`);
  // The window of the provider was in front, and is closed.
  await send("Page.bringToFront", {}, sessionId);
  await click("the close button", "document.querySelector('.btn-done')");
  // Swagger UI makes what is in sight, and this is the first.
  const operation = `document.querySelector('[id$="-${config.operation}"]')`;
  await click("the operation", `${operation}?.querySelector('.opblock-summary-control')`);
  // A click on a button that is about to be drawn again is lost.
  const execute = `if (Date.now() - (window.executed ?? 0) > 5000) { window.executed = Date.now(); ${operation}.querySelector('.execute')?.click(); }`;
  const shown = `${operation}.querySelector('.live-responses-table tr.response .response-col_status')?.innerText`;
  const status = await until("the answer", `(() => { ${execute} return ${shown}; })()`);
  const body = await evaluate(`${operation}.querySelector('.live-responses-table .highlight-code')?.innerText`);
  const blocked = heard.filter(({ method, params }) => method === "Log.entryAdded" && params.entry.source === "security");
  console.log(JSON.stringify({ authorized, status, body, blocked: blocked.map(({ params }) => params.entry.text) }));
  child.removeAllListeners("exit");
  await send("Browser.close");
  process.exit(0);
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
