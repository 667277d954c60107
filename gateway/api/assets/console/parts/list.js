// Lists of any length: pages by cursor are appended while one scrolls, and only the pages near the window are in the document.
import { call } from "../api.js";
import { html, Still, useCallback, useEffect, useRef, useState } from "../html.js";
import { number } from "../format.js";
import { Loading, Trouble } from "./notice.js";

// Pages whose items are kept; those far away are asked for again when they come into sight.
const PAGES_KEPT = 40;

/** Asks for pages: `{pages, state, more, fetchPage}`. */
function usePages(operation, path, query, size) {
  const names = JSON.stringify([operation, path, query, size]);
  const [state, setState] = useState({ pages: [], loading: true });
  const generation = useRef(0);
  const busy = useRef(false);
  const ask = useCallback((cursor, quiet = false) => call(operation, { path, query: { ...query, limit: size, cursor }, quiet }), [names]);
  // What was measured meanwhile is kept: the state is always made from the latest one.
  const latest = useRef(state);
  latest.current = state;
  const load = useCallback(async () => {
    if (busy.current === generation.current) return;
    const mine = generation.current;
    busy.current = mine;
    const before = latest.current.of === mine ? latest.current.pages : [];
    const cursor = before.at(-1)?.next;
    try {
      const page = await ask(cursor, before.length > 0);
      if (generation.current !== mine) return;
      const added = { cursor, items: page.items, size: page.items.length, next: page.nextCursor };
      setState((now) => ({ of: mine,
        pages: [...(now.of === mine ? now.pages : []), added].map((one, i, all) =>
        (i < all.length - PAGES_KEPT && one.height ? { ...one, items: null } : one)) }));
    } catch (problem) {
      if (generation.current === mine) setState((now) => ({ of: mine, pages: now.of === mine ? now.pages : [], problem }));
    } finally {
      if (busy.current === mine) busy.current = null;
    }
  }, [ask]);
  useEffect(() => {
    generation.current += 1;
    setState({ of: generation.current, pages: [], loading: true });
    load();
  }, [load]);
  const patch = useCallback((index, members) =>
    setState((now) => ({ ...now, pages: now.pages.map((one, i) => (i === index ? { ...one, ...members } : one)) })), []);
  const fill = useCallback(async (index, cursor) => patch(index, { items: (await ask(cursor, true)).items }), [ask]);
  return { ...state, next: state.pages.at(-1)?.next, load, fill, patch };
}

/** Whether an element is near the window. */
function useNear(ref) {
  const [near, setNear] = useState(true);
  useEffect(() => {
    const watch = new IntersectionObserver((entries) => setNear(entries.at(-1).isIntersecting), { rootMargin: "1500px" });
    watch.observe(ref.current);
    return () => watch.disconnect();
  }, []);
  return near;
}

function Page({ page, index, columns, rowKey, selection, fill, patch }) {
  const body = useRef();
  const near = useNear(body);
  useEffect(() => {
    if (near && !page.items) fill(index, page.cursor);
    if (near && page.items && body.current.offsetHeight !== page.height) patch(index, { height: body.current.offsetHeight });
  }, [near, page.items]);
  const hidden = !page.items || (!near && page.height);
  const width = columns.length + (selection ? 1 : 0);
  // The same rows are not compared again when another page comes.
  const draw = () => {
    if (hidden) return html`<tr class="gap"><td colspan=${width} style=${{ height: `${page.height ?? 0}px` }}></td></tr>`;
    return page.items.map((item) => html`<${Row} key=${rowKey(item)} ...${{ item, columns, selection }} id=${rowKey(item)} />`);
  };
  return html`<tbody ref=${body} role="rowgroup" aria-hidden=${hidden ? "true" : undefined}>
    <${Still} deps=${[hidden, page.items, page.height, columns, selection?.picked]} draw=${draw} /></tbody>`;
}

const Row = ({ item, id, columns, selection }) => html`<tr role="row">
  ${selection && html`<td role="cell" class="pick">
    <input type="checkbox" aria-label=${`Select ${selection.label(item)}`} checked=${selection.has(id)} onChange=${() => selection.toggle(id)} /></td>`}
  ${columns.map((column) => html`<td role="cell" class=${column.kind ?? ""} data-label=${column.title}><span>${column.cell(item)}</span></td>`)}
</tr>`;

/** The end of the list: loads the next page when it comes into sight, and by a button. */
function More({ list, shown }) {
  const foot = useRef();
  useEffect(() => {
    const watch = new IntersectionObserver((entries) => entries.at(-1).isIntersecting && list.next && !list.problem && list.load(), { rootMargin: "600px" });
    watch.observe(foot.current);
    return () => watch.disconnect();
  });
  return html`<div ref=${foot} class="more">
    <span role="status" aria-live="polite">${number(shown)} shown${list.next ? ", there are more" : ", no more"}.</span>
    ${list.next && html`<button type="button" onClick=${list.load}>Load more</button>`}
  </div>`;
}

/** A list. `columns`: `[{title, cell, kind}]`; `empty`: what stands there if there is nothing; `selection`: from `useSelection`. */
export function List({ operation, path, query = {}, size = 100, unpaged = false, columns, rowKey = (item) => item.id, label, empty, selection, keep }) {
  const list = usePages(operation, path, query, unpaged ? undefined : size);
  const shown = list.pages.reduce((sum, page) => sum + page.size, 0);
  useEffect(() => keep?.(list.pages.flatMap((page) => page.items ?? []), Boolean(list.next)), [list.pages]);
  if (list.loading) return html`<${Loading} what=${`Loading ${label.toLowerCase()}`} />`;
  if (list.problem && shown === 0) return html`<${Trouble} problem=${list.problem} title=${label} again=${list.load} />`;
  if (shown === 0 && !list.next) return empty ?? html`<p class="faint">None.</p>`;
  return html`<table class="list" role="table" aria-label=${label}>
      <thead role="rowgroup"><tr role="row">${selection && html`<th role="columnheader" scope="col" class="pick"><span class="hidden">Selected</span></th>`}
        ${columns.map((column) => html`<th role="columnheader" scope="col" class=${column.kind ?? ""}>${column.title}</th>`)}</tr></thead>
      ${list.pages.map((page, index) =>
        html`<${Page} key=${index} ...${{ page, index, columns, rowKey, selection }} fill=${list.fill} patch=${list.patch} />`)}
    </table>
    <${Trouble} problem=${list.problem} title=${label} again=${list.load} />
    <${More} list=${list} shown=${shown} />`;
}

/** The rows that somebody has picked, by their keys. */
export function useSelection(label) {
  const [picked, setPicked] = useState(new Set());
  const toggle = (key) =>
    setPicked((before) => {
      const after = new Set(before);
      if (!after.delete(key)) after.add(key);
      return after;
    });
  return { label, picked, has: (key) => picked.has(key), toggle, clear: () => setPicked(new Set()), set: (keys) => setPicked(new Set(keys)) };
}

/** Items that are all there: a table without pages. */
export function Table({ items, columns, label, rowKey = (item, i) => item.id ?? i, empty }) {
  if (items.length === 0) return empty ?? html`<p class="faint">None.</p>`;
  return html`<table class="list" role="table" aria-label=${label}>
    <thead role="rowgroup"><tr role="row">
      ${columns.map((column) => html`<th role="columnheader" scope="col" class=${column.kind ?? ""}>${column.title}</th>`)}</tr></thead>
    <tbody role="rowgroup">${items.map((item, i) =>
      html`<tr role="row" key=${rowKey(item, i)}>
      ${columns.map((column) => html`<td role="cell" class=${column.kind ?? ""} data-label=${column.title}><span>${column.cell(item, i)}</span></td>`)}
      </tr>`)}</tbody>
  </table>`;
}
