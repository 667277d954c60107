// The story of a client in TypeScript: what an integration does with Billwire, with openapi-fetch and the types of the document. It prints
// one JSON object. BILLWIRE_URL and BILLWIRE_API_KEY say where and as whom.
import createClient from "openapi-fetch";
import type { components, paths } from "./billwire.js";

type Problem = components["schemas"]["Problem"];

/** A refused call, with its problem. */
class Refused extends Error {
  readonly problem: Problem;
  constructor(problem: Problem) {
    super(`${problem.status} ${problem.code}: ${problem.detail}`);
    this.problem = problem;
  }
}

const billwire = createClient<paths>({
  baseUrl: process.env.BILLWIRE_URL,
  headers: { Authorization: `Bearer ${process.env.BILLWIRE_API_KEY}` },
});

/** What was answered, or the problem as an error. */
async function done<T>(call: Promise<{ data?: T; error?: unknown }>): Promise<T> {
  const { data, error } = await call;
  if (data === undefined) throw new Refused(error as Problem);
  return data;
}

/** All accounts, page by page. */
async function* accounts(pageSize: number) {
  let cursor: string | undefined;
  do {
    const query = { limit: pageSize, ...(cursor === undefined ? {} : { cursor }) };
    const page: components["schemas"]["AccountList"] = await done(billwire.GET("/v1/accounts", { params: { query } }));
    yield* page.items;
    cursor = page.nextCursor;
  } while (cursor !== undefined);
}

for (const day of [1, 15]) {
  const body = { name: `TypeScript ${day}`, externalId: `ts-${day}`, period: "month", billingDay: day } as const;
  await done(billwire.POST("/v1/bill-cycles", { body }));
}

// The same request again, as after a lost answer: it happens once.
const acme = () =>
  done(
    billwire.POST("/v1/accounts", {
      params: { header: { "Idempotency-Key": "ts-create-acme" } },
      body: { name: "Acme", externalId: "ts-acme", currency: "EUR", billCycle: "ts-1" },
    }),
  );
const [first, second] = [await acme(), await acme()];

const account = { path: { account: "ts-acme" } };
const validFrom = new Date(Date.now() + 48 * 3_600_000).toISOString();
const planned = await done(
  billwire.POST("/v1/accounts/{account}/bill-cycle", { params: account, body: { billCycle: "ts-15", validFrom } }),
);
// The body is optional, and left out.
const cancelled = await done(billwire.POST("/v1/accounts/{account}/bill-cycle-change/cancel", { params: account }));

let problem: Problem | undefined;
try {
  await done(billwire.POST("/v1/accounts/{account}/bill-cycle", { params: account, body: { billCycle: "nowhere" } }));
} catch (error) {
  if (!(error instanceof Refused)) throw error;
  problem = error.problem;
}

for (let n = 0; n < 4; n++) {
  await done(billwire.POST("/v1/accounts", { body: { name: `Branch ${n}`, currency: "EUR", billCycle: "ts-1" } }));
}
let count = 0;
for await (const _ of accounts(2)) count++;

const call = {
  account: "ts-acme",
  externalId: "ts-call",
  type: "call",
  occurredAt: new Date().toISOString(),
  amount: { amount: "2.50", currency: "EUR" },
};
const recorded = await done(billwire.POST("/v1/chargeable-events", { body: { items: [call] } }));
const adjusted = await done(
  billwire.POST("/v1/chargeable-events/{chargeableEvent}/adjustments", {
    params: { path: { chargeableEvent: "ts-call" } },
    body: { amount: { amount: "0.50", currency: "EUR" }, chargeType: "CREDIT", reason: "Goodwill" },
  }),
);
const charge = adjusted.entities.find((entity) => entity.type === "chargeableEvent");
const found = await done(billwire.GET("/v1/chargeable-events", { params: { query: { account: "ts-acme" } } }));

console.log(
  JSON.stringify({
    once: first.id === second.id,
    entity: first.entities[0]?.type,
    name: first.entities[0]?.after?.name,
    planned: planned.events[1]?.type,
    cancelled: cancelled.events[1]?.type,
    problem: { status: problem?.status, code: problem?.code, pointer: problem?.errors?.[0]?.pointer },
    accounts: count,
    recorded: recorded.items[0]?.status,
    left: charge?.after?.netAmount.amount,
    net: found.items[0]?.netAmount.amount,
  }),
);
