// API keys, roles, identity providers, tenants.
import { html } from "../html.js";
import { clock } from "../format.js";
import { to } from "../router.js";
import { Action } from "../parts/dialog.js";
import { Secretive } from "../parts/secret.js";
import { State, Time } from "../parts/show.js";
import { created, name, named } from "./routing.js";

const listed = (names = []) => (names.length > 4 ? `${names.slice(0, 4).join(", ")} and ${names.length - 4} more` : names.join(", ") || "–");
const keyState = (one) => (one.revokedAt ? "revoked" : one.expiresAt && new Date(one.expiresAt).getTime() < clock() ? "expired" : "active");

const keys = {
  path: "api-keys", one: "API key", title: "API keys", group: "Access", param: "apiKey",
  list: "listApiKeys", get: "getApiKey", create: "createApiKey", remove: "deleteApiKey",
  lead: "Keys that programs call the API with, each with scopes or roles.",
  columns: [named("api-keys"), { title: "State", cell: (one) => html`<${State} is=${keyState(one)} />` },
    { title: "Scopes", cell: ({ scopes }) => listed(scopes) }, { title: "Roles", cell: ({ roles }) => listed(roles) },
    { title: "Last used", cell: (one) => html`<${Time} at=${one.lastUsedAt} />` }, created],
  fields: [
    { ...name, help: "It is the actor of the key’s transactions." },
      { name: "scopes", label: "Scopes", type: "list", help: "One a line, such as events:read. * is everything." },
      { name: "roles", label: "Roles", type: "list", help: "One a line, such as finance or auditor." },
    { name: "allowedNetworks", label: "Allowed networks", type: "list", help: "One a line (CIDR). Empty: any." },
      { name: "expiresAt", label: "Expires", type: "time", help: "Empty: never." },
  ],
  facts: (one) => [["State", html`<${State} is=${keyState(one)} />`], ["Begins with", one.startsWith && html`<code>${one.startsWith}…</code>`],
    ["Last used", html`<${Time} at=${one.lastUsedAt} />`], ["Created by", one.createdBy], one.formerWorksUntil
    && ["Former text works until", html`<${Time} at=${one.formerWorksUntil} />`]],
  actions: ({ object: one, again }) => !one.revokedAt && html`
    <${Secretive} operation="rotateApiKey" given=${{ path: { apiKey: one.id }, body: {} }} label="Rotate" done=${again}
      says=${html`<p>Makes a new text for <strong>${one.name}</strong>. The current one works for another day, so that programs can switch.</p>`} />
    <${Action} operation="revokeApiKey" given=${{ path: { apiKey: one.id }, body: {} }} label="Revoke" danger done=${again} told="The key is revoked."
      says=${html`<p><strong>${one.name}</strong> stops working now, for good. Programs that use it are refused.</p>`} />`,
};

const roles = {
  path: "roles", one: "role", title: "Roles", group: "Access", param: "role",
  list: "listRoles", get: "getRole", create: "createRole", update: "updateRole", remove: "deleteRole", below: "listPredefinedRoles",
  lead: "Sets of scopes for API keys and people.", next: "The predefined roles below often suffice.",
  columns: [{ title: "Name", cell: (one) => (one.id ? html`<a href=${to("roles", one.id)}>${one.name}</a>` : one.name) },
    { title: "What for", cell: ({ description }) => description ?? "–" },
    { title: "Scopes", cell: ({ scopes }) =>
    html`<details><summary>${scopes.length === 1 ? scopes[0] : `${scopes.length} scopes`}</summary>${scopes.join(", ")}</details>` }],
  fields: [{ ...name, fixed: true }, { name: "description", label: "What for" },
    { name: "scopes", label: "Scopes", type: "list", required: true, rows: 10, help: "One a line." },
    { name: "adjustmentCeilings", label: "Highest adjustments", type: "json", unset: [],
      help: '[{"amount": "50.00", "currency": "EUR"}]. Empty: any amount.' }],
};

const providers = {
  path: "identity-providers", one: "identity provider", title: "Identity providers", group: "Access", param: "identityProvider",
  list: "listIdentityProviders", get: "getIdentityProvider", create: "createIdentityProvider", update: "updateIdentityProvider",
    remove: "deleteIdentityProvider",
  lead: "Providers whose tokens are accepted, with the roles that they give.", next: "Register yours to let people sign in with it.",
  columns: [named("identity-providers"), { title: "Issuer", cell: ({ issuer }) => issuer }, { title: "Audience", cell: ({ audience }) => audience }, created],
  fields: [name, { name: "issuer", label: "Issuer", required: true, fixed: true }, { name: "audience", label: "Audience", required: true, fixed: true },
    { name: "roleClaim", label: "Claim with the roles", required: true }, { name: "nameClaim", label: "Claim with the name", unset: null },
    { name: "roleMappings", label: "Roles by the claim’s values", type: "json", required: true,
    initial: '[\n  { "value": "billing", "roles": ["finance"] }\n]' }],
};

const tenants = {
  path: "tenants", one: "tenant", title: "Tenants", group: "Access", param: "tenant",
  list: "listTenants", get: "getTenant", create: "createTenant", update: "updateTenant",
  lead: "Tenants of this installation, each with its own data and keys.",
  columns: [named("tenants"), { title: "Id in keys and subjects", cell: ({ tenantId }) => html`<code>${tenantId}</code>` },
    { title: "State", cell: ({ status }) => html`<${State} is=${status} />` }, created],
  fields: [{ name: "tenantId", label: "Id in keys and subjects", required: true, createOnly: true, help: "It never changes." }, name,
    { name: "timeZone", label: "Time zone", createOnly: true, help: "Empty: UTC." },
    { name: "defaultCurrency", label: "Currency of new accounts", createOnly: true },
    { name: "limits.requestsPerSecond", label: "Requests per second", type: "number", help: "Empty: the installation’s limit." }],
  facts: (one) => [["State", html`<${State} is=${one.status} />`], ["Because", one.suspendedBecause]],
  actions: ({ object: one, again }) =>
    html`${one.status === "active"
    && html`<${Action} operation="suspendTenant" given=${{ path: { tenant: one.id }, body: {} }} label="Suspend" danger done=${again}
    told="The tenant is suspended."
    says=${html`<p>Refuses all calls of <strong>${one.name}</strong> (<code>${one.tenantId}
    </code>) and holds its deliveries until it is resumed. Nothing is lost.</p>`} />`}
    ${one.status === "suspended" && html`<${Action} operation="resumeTenant" given=${{ path: { tenant: one.id }, body: {} }} label="Resume" primary
      done=${again} told="The tenant is resumed."
      says=${html`<p>Accepts calls of <strong>${one.name}</strong> again and delivers what has waited.</p>`} />`}`,
};

export const ACCESS = [keys, roles, providers, tenants];
