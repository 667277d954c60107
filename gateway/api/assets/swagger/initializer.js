"use strict";

// Nothing here or in index.html stands inline, so a content security policy without 'unsafe-inline' and 'unsafe-eval' holds.
(async () => {
  // The identity provider that people sign in at, if one is configured: {issuer, clientId, resource}.
  const signIn = await fetch("/docs/sign-in.json").then((answer) => answer.json());
  const discovery = signIn.issuer && `${signIn.issuer.replace(/\/$/, "")}/.well-known/openid-configuration`;

  // The page's own filter knows tags alone. All words must be in an operation's id, summary, description or path; or in its tag.
  const opsFilter = (tags, phrase) => {
    const words = phrase.toLowerCase().split(/\s+/).filter(Boolean);
    const has = (texts) => words.every((word) => texts.join(" ").toLowerCase().includes(word));
    const found = (item) => {
      const operation = item.get("operation");
      return has([item.get("path"), ...["operationId", "summary", "description"].map((name) => operation.get(name, ""))]);
    };
    return tags
      .map((tag, name) => (has([name]) ? tag : tag.update("operations", (operations) => operations.filter(found))))
      .filter((tag) => tag.get("operations").size > 0);
  };

  // An operation has a dozen refusals, most of them those of every other one: they are shown on demand.
  const responses = (Original, { React }) => {
    const { createElement, useState } = React;
    return (props) => {
      const [open, setOpen] = useState(false);
      const refusals = props.responses.filter((_, status) => status >= "300");
      const shown = open ? props.responses : props.responses.filter((_, status) => status < "300");
      const words = `${open ? "Hide" : "Show"} the refusals: ${refusals.keySeq().join(", ")}`;
      const toggle = { className: "btn refusals", type: "button", "aria-expanded": open, onClick: () => setOpen(!open) };
      const button = refusals.size > 0 ? createElement("button", toggle, words) : null;
      return createElement("div", null, createElement(Original, { ...props, responses: shown }), button);
    };
  };

  const ui = SwaggerUIBundle({
    url: "/openapi.json",
    dom_id: "#swagger-ui",
    deepLinking: true,
    displayOperationId: true,
    displayRequestDuration: true,
    docExpansion: "list",
    filter: true,
    plugins: [() => ({ fn: { opsFilter }, wrapComponents: { responses } })],
    oauth2RedirectUrl: `${location.origin}/docs/oauth2-redirect.html`,
    persistAuthorization: false,
    tryItOutEnabled: true,
    // No badge of an outside validator: this page asks nobody but this server, and the identity provider.
    validatorUrl: null,
    // The dialog would offer everything that the provider can do: only one way fits a page in a browser.
    responseInterceptor: (answer) => {
      if (discovery && answer.url === discovery) {
        answer.text = JSON.stringify({ ...JSON.parse(answer.text), grant_types_supported: ["authorization_code"] });
      }
      return answer;
    },
  });
  if (signIn.clientId) {
    ui.initOAuth({
      clientId: signIn.clientId,
      scopes: ["openid"],
      usePkceWithAuthorizationCodeGrant: true,
      additionalQueryStringParams: signIn.resource ? { resource: signIn.resource } : {},
    });
  }
})();
