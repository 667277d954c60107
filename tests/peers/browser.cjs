// A real browser, driven over the DevTools protocol.

const { spawn } = require("node:child_process");

const PATIENCE_MS = 240_000;
// A page on a busy machine takes its time: a second click on what folds out would fold it in again.
const AGAIN_MS = 60_000;

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

/** Starts `chromium` with a profile in `folder`. `extra` are further arguments. */
async function start({ chromium, folder }, extra) {
  const child = spawn(chromium, [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0", `--user-data-dir=${folder}`, ...extra, "about:blank",
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

/** Opens `url`: what one can do on the page, and how to end the browser. */
async function open(config, url, extra = []) {
  const { child, send, heard } = await start(config, extra);
  const { targetId } = await send("Target.createTarget", { url: "about:blank" });
  const { sessionId } = await send("Target.attachToTarget", { targetId, flatten: true });
  for (const domain of ["Page", "Runtime", "Log"]) await send(`${domain}.enable`, {}, sessionId);
  await send("Page.navigate", { url }, sessionId);
  const evaluate = async (expression) => {
    const { result, exceptionDetails } = await send("Runtime.evaluate", { expression, awaitPromise: true, userGesture: true, returnByValue: true }, sessionId);
    if (exceptionDetails) throw new Error(`${expression}: ${exceptionDetails.exception?.description}`);
    return result.value;
  };
  const clicking = (element) => `(() => { const found = ${element}; found?.click(); return Boolean(found); })()`;
  // A click on what is about to be drawn anew is lost: `element`, if one is named, is clicked again after a while.
  const until = async (what, expression, element) => {
    const end = Date.now() + PATIENCE_MS;
    let next = 0;
    while (Date.now() < end) {
      const found = await evaluate(expression);
      if (found) return found;
      if (element && Date.now() > next) {
        await send("Page.bringToFront", {}, sessionId);
        if (await evaluate(clicking(element))) next = Date.now() + AGAIN_MS;
      }
      await sleep(100);
    }
    const shown = "(document.querySelector('.dialog-ux') ?? document.querySelector('.opblock.is-open') ?? document.body).innerText.slice(0, 2000)";
    throw new Error(`still missing: ${what}: ${await evaluate(`document.visibilityState + ": " + ${shown}`)}`);
  };
  const click = (what, element) => until(what, clicking(element));
  // As if somebody typed: the page hears of it.
  const type = (what, expression, text) =>
    until(what, `(() => {
      const found = ${expression};
      if (!found) return false;
      Object.getOwnPropertyDescriptor(Object.getPrototypeOf(found), "value").set.call(found, ${JSON.stringify(text)});
      found.dispatchEvent(new Event("input", { bubbles: true }));
      found.dispatchEvent(new Event("change", { bubbles: true }));
      return true;
    })()`);
  const blocked = () =>
    heard.filter(({ method, params }) => method === "Log.entryAdded" && params.entry.source === "security").map(({ params }) => params.entry.text);
  const close = async () => {
    child.removeAllListeners("exit");
    await send("Browser.close");
  };
  return { evaluate, until, click, type, blocked, close };
}

/** Unfolds an operation on the page of Swagger UI. */
const unfold = ({ until }, operation) =>
  until("the open operation", `${operation}?.classList.contains('is-open')`, `${operation}?.querySelector('.opblock-summary-control')`);

/** Executes an operation that is unfolded: the status and the body of the answer. */
async function execute({ evaluate, until }, operation) {
  const shown = `${operation}?.querySelector('.live-responses-table tr.response .response-col_status')?.innerText`;
  const status = await until("the answer", shown, `${operation}?.querySelector('.execute')`);
  // A button stands before the text.
  const body = await evaluate(`${operation}.querySelector('.live-responses-table .highlight-code')?.innerText.replace(/^Download\\s*/, "")`);
  return { status, body };
}

/** Runs a program to its end. */
function run(main) {
  main(JSON.parse(process.argv[2])).then(
    (told) => {
      console.log(JSON.stringify(told));
      process.exit(0);
    },
    (error) => {
      console.error(error);
      process.exit(1);
    },
  );
}

module.exports = { sleep, open, unfold, execute, run };
