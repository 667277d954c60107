"use strict";

// Nothing here or in index.html stands inline, so a content security policy without 'unsafe-inline' and 'unsafe-eval' holds.
(async () => {
  // The identity provider that people sign in at, if one is configured: {issuer, clientId, resource}.
  const signIn = await fetch("/docs/sign-in.json").then((answer) => answer.json());
  const discovery = signIn.issuer && `${signIn.issuer.replace(/\/$/, "")}/.well-known/openid-configuration`;

  const ui = SwaggerUIBundle({
    url: "/openapi.json",
    dom_id: "#swagger-ui",
    deepLinking: true,
    displayRequestDuration: true,
    docExpansion: "list",
    filter: true,
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
