"use strict";

// Nothing here or in index.html stands inline, so a content security policy without 'unsafe-inline' and 'unsafe-eval' holds.
SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  displayRequestDuration: true,
  docExpansion: "list",
  filter: true,
  persistAuthorization: false,
  tryItOutEnabled: true,
  // No badge of an outside validator: this page asks nobody but this server.
  validatorUrl: null,
});
