// Events that are too large for the stream.
import { html, useState } from "../html.js";
import { count, number } from "../format.js";
import { to } from "../router.js";
import { Action } from "../parts/dialog.js";
import { List, useSelection } from "../parts/list.js";
import { Empty } from "../parts/notice.js";
import { Head, Ref, Time } from "../parts/show.js";

const COLUMNS = [
  { title: "Set aside", cell: (one) => html`<${Time} at=${one.setAsideAt} />`, kind: "nowrap" },
  { title: "Event", cell: (one) => html`<a href=${to("events", one.eventId)}>${one.type}</a>` },
  { title: "Transaction", cell: (one) => html`<${Ref} type="businessTransaction" id=${one.transactionId} />` },
  { title: "Bytes", cell: (one) => html`${number(one.size)} <span class="faint">of ${number(one.sizeMax)}</span>`, kind: "number" },
  { title: "Wait behind it", cell: (one) => number(one.waiting), kind: "number" },
  { title: "Ordering key", cell: (one) => html`<a href=${to("events", { key: one.orderingKey })}>${one.orderingKey}</a>` },
];

export function SetAside() {
  const [turn, setTurn] = useState(0);
  return html`<${Head} kind="Mend" title="Set-aside events" />
    <p>Events larger than a message of the stream may be. Raise <code>max_payload</code> of NATS first, then redrive: what fits is published, in order, with all that waits behind it.</p>
    <${Rows} key=${turn} again=${() => setTurn(turn + 1)} />`;
}

function Rows({ again }) {
  const selection = useSelection(({ type }) => type);
  const [loaded, setLoaded] = useState([]);
  const ids = [...selection.picked];
  const body = ids.length > 0 ? { ids } : {};
  const what = ids.length > 0 ? count(ids.length, "set-aside event") : "all set-aside events";
  return html`${loaded.length > 0
    && html`<div class="toolbar"><${Action} operation="redriveSetAsideEvents" given=${{ body }} label=${ids.length > 0 ? "Redrive"
    : "Redrive all"} primary done=${again}
      told=${({ events, tooLarge }) =>
        `${count(events, "event")} will be published, ${number(tooLarge)} still too large.`}
        says=${html`<p>Publishes <strong>${what}
        </strong> that now fit, each with the events of its ordering key that wait behind it. What does not fit stays.</p>`} /></div>`}
    <${List} operation="listSetAsideEvents" columns=${COLUMNS} rowKey=${(one) =>
      one.eventId} label="Set-aside events" selection=${selection} keep=${setLoaded}
      empty=${html`<${Empty} title="No event is set aside">Every event fits the stream.<//>`} />`;
}
