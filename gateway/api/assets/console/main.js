// Starts the console: signs in, keeps the shell, and shows the page that the address names.
import { asked } from "./api.js";
import { html, render, useEffect, useErrorBoundary, useRef } from "./html.js";
import { useRoute } from "./router.js";
import { useSession } from "./session.js";
import { Said } from "./parts/notice.js";
import { Calls } from "./parts/curl.js";
import { Shell } from "./shell.js";
import { SignIn } from "./pages/sign_in.js";
import { pageFor } from "./pages.js";
import { startTheme } from "./theme.js";

/** The page of an address. A page that fails says so; the rest goes on. */
function Page({ route }) {
  const [error, reset] = useErrorBoundary((failed) => console.error(failed));
  const { component: Shown, props, title } = pageFor(route.parts);
  const path = route.parts.join("/");
  const first = useRef(true);
  useEffect(() => {
    document.title = `${title} – Billwire console`;
    if (first.current) first.current = false;
    else {
      scrollTo(0, 0);
      document.querySelector("main h1")?.focus({ preventScroll: true });
    }
  }, [path]);
  if (error) return html`<div class="trouble" role="alert"><h1>This page failed</h1><p>${String(error.message ?? error)}</p>
    <button type="button" onClick=${reset}>Show it again</button></div>`;
  return html`<${Shown} ...${props} query=${route.query} />`;
}

function Console() {
  const session = useSession();
  const route = useRoute();
  const path = route.parts.join("/");
  // What the page before asked for is no longer of interest.
  useEffect(() => asked.set((all) => all.filter((one) => one.page === path)), [path]);
  if (!session.key) return html`<${SignIn} notice=${session.notice} /><${Said} />`;
  return html`<${Shell} route=${route}>
    <${Page} key=${path} route=${route} />
    <${Calls} />
  <//><${Said} />`;
}

startTheme();
render(html`<${Console} />`, document.getElementById("console"));
