// Reloads the page when one of the two counts changes. Open details stay open.
const counts = document.body.dataset.counts;
const open = new Set(JSON.parse(sessionStorage.getItem("open") || "[]"));
for (const details of document.querySelectorAll("details[id]")) {
  if (open.has(details.id)) details.open = true;
  details.addEventListener("toggle", () => {
    details.open ? open.add(details.id) : open.delete(details.id);
    sessionStorage.setItem("open", JSON.stringify([...open]));
  });
}
setInterval(async () => {
  try {
    const now = await (await fetch("/counts.json")).text();
    if (now !== counts) location.reload();
  } catch { /* billwire dev has stopped: the page stays as it is */ }
}, 1500);
