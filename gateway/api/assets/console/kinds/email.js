// SMTP accounts, templates, system users, suppressed addresses.
import { html } from "../html.js";
import { to } from "../router.js";
import { State } from "../parts/show.js";
import { SmtpTests } from "../parts/smtp.js";
import { created, name, named, Selected } from "./routing.js";

const smtp = {
  path: "smtp-accounts", one: "SMTP account", title: "SMTP accounts", group: "E-mail", param: "smtpAccount", names: "smtpAccounts",
  list: "listSmtpAccounts", get: "getSmtpAccount", create: "createSmtpAccount", update: "updateSmtpAccount", remove: "deleteSmtpAccount",
  lead: "The server and sender of outgoing e-mail.",
  next: "Create one, then verify it and send a test e-mail.",
  columns: [named("smtp-accounts"), { title: "Server", cell: (one) => `${one.server}:${one.port}` },
    { title: "Encryption", cell: ({ security }) => security }, { title: "Sender", cell: (one) => `${one.fromName} <${one.fromAddress}>` },
    { title: "Default", cell: ({ isDefault }) => (isDefault ? "yes" : "") }],
  fields: [
    name, { name: "server", label: "Server", required: true }, { name: "port", label: "Port", type: "number", help: "Empty for a new account: 25." },
    { name: "security", label: "Encryption", type: "choice",
      options: [["starttls", "STARTTLS"], ["tls", "TLS from the start (port 465)"], ["none", "None"]], initial: "starttls" },
    { name: "fromName", label: "Sender’s name", required: true }, { name: "fromAddress", label: "Sender’s address", required: true },
    { name: "username", label: "User name", unset: null }, { name: "password", label: "Password", type: "secret" },
    { name: "connections", label: "Connections at most", type: "number" },
      { name: "maxPerSecond", label: "Messages per second at most", type: "number", unset: null },
      { name: "maxRecipients", label: "Recipients per message at most", type: "number" },
    { name: "isDefault", label: "Default account of the tenant", type: "bool" },
  ],
  more: ({ object }) => html`<${SmtpTests} account=${object} />`,
};

const templates = {
  path: "templates", one: "template", title: "Templates", group: "E-mail", param: "notificationTemplate", names: "templates",
  list: "listNotificationTemplates", get: "getNotificationTemplate", create: "createNotificationTemplate", update: "updateNotificationTemplate",
    remove: "deleteNotificationTemplate",
  lead: "What e-mails say. Parameters stand in double braces.",
  next: "Create one, or look at the predefined ones below.",
  columns: [named("templates"), { title: "Subject", cell: ({ subject }) => subject }, { title: "Language", cell: ({ language }) => language },
    { title: "Event types", cell: (one) => html`<${Selected} of=${one} none="any" />` },
    { title: "Version", cell: ({ version }) => version, kind: "number" }],
  below: "listPredefinedTemplates",
  fields: [
    name, { name: "eventTypes", label: "Event types it is for", type: "eventTypes",
      help: "It may use the parameters that all of them offer. None: any type." },
    { name: "language", label: "Language", help: "A BCP 47 tag. Empty for a new template: en." },
    { name: "subject", label: "Subject", required: true, code: true },
    { name: "text", label: "Plain text", type: "code", rows: 12, required: true }, { name: "html", label: "HTML", type: "code", rows: 12, unset: null },
    { name: "translations", label: "Translations", type: "json", help: 'By language tag: {"de": {"subject": …, "text": …}}. On a change: the complete set.' },
  ],
};

const users = {
  path: "system-users", one: "system user", title: "System users", group: "E-mail", param: "systemUser", names: "systemUsers",
  list: "listSystemUsers", get: "getSystemUser", create: "createSystemUser", update: "updateSystemUser", remove: "deleteSystemUser",
  lead: "Staff who receive notifications.",
  next: "Create one to name people as recipients of a subscription.",
  columns: [named("system-users"), { title: "E-mail", cell: ({ email }) => email },
    { title: "State", cell: ({ active }) => html`<${State} is=${active ? "active" : "suspended"}>${active ? "active" : "gets no mail"}<//>` },
    { title: "Language", cell: ({ language }) => language ?? "–" }, { title: "Time zone", cell: ({ timeZone }) => timeZone ?? "–" }],
  fields: [name, { name: "email", label: "E-mail", required: true },
    { name: "language", label: "Language", unset: null, help: "A BCP 47 tag. Empty: the template’s." },
    { name: "timeZone", label: "Time zone", unset: null, help: "Such as Europe/Berlin. Empty: the tenant’s." },
    { name: "active", label: "Receives notifications", type: "bool", initial: true }],
};

const suppressed = {
  path: "suppressed-addresses", one: "suppressed address", title: "Suppressed addresses", group: "E-mail", param: "suppressedAddress",
    title1: (one) => one.address,
  list: "listSuppressedAddresses", get: "getSuppressedAddress", create: "suppressAddress", createLabel: "Suppress an address",
    remove: "deleteSuppressedAddress", removeLabel: "Allow again",
  lead: "Addresses to which no e-mail is sent, because a server refused them for good or somebody said so.",
  next: "Addresses that refuse mail appear here by themselves.",
  columns: [{ title: "Address", cell: (one) => html`<a href=${to("suppressed-addresses", one.id)}>${one.address}</a>` },
    { title: "Reason", cell: ({ reason }) => reason }, { title: "Status", cell: ({ status }) => status ?? "–" }, created],
  fields: [{ name: "address", label: "Address", required: true }, { name: "reason", label: "Reason" }],
  facts: (one) => [one.deliveryId && ["Delivery", html`<a href=${to("deliveries", one.deliveryId)}>the refused one</a>`]],
};

export const EMAIL = [smtp, templates, users, suppressed];
