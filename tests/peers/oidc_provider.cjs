// A certified OpenID Connect provider (npm oidc-provider) over TLS, with clients and keys for the tests.
//
//     node oidc_provider.cjs '{"issuer": URL, "audience": TEXT, "certificate": PEM, "key": PEM, "keys": [{"kid": TEXT, "alg": TEXT}],
//                              "clients": [METADATA], "ttl": SECONDS, "allowedOrigin": ORIGIN}'
//
// It prints {"port": N}. Each line of standard input is a command, answered by a line:
//     {"keys": [{"kid", "alg"}]}   publishes these keys and signs with the first; a kid that was there keeps its key
//     {"away": BOOLEAN}            closes every connection, or answers again
//     {"count": true}              says how often each path was asked: {"counts": {PATH: N}}
//
// Whoever signs in is the account that `login_hint` names, else jane. Accounts have the roles that `roles` of their client says.

const https = require("node:https");
const { generateKeyPairSync } = require("node:crypto");
const { createInterface } = require("node:readline");

const config = JSON.parse(process.argv[2]);
const KINDS = { RS256: ["rsa", { modulusLength: 2048 }], ES256: ["ec", { namedCurve: "P-256" }], EdDSA: ["ed25519", {}] };
const made = new Map();
const counts = {};
let current;
let away = false;

function jwk({ kid, alg }) {
  if (!made.has(kid)) {
    const [type, options] = KINDS[alg];
    made.set(kid, { ...generateKeyPairSync(type, options).privateKey.export({ format: "jwk" }), kid, alg, use: "sig" });
  }
  return made.get(kid);
}

async function provide(keys) {
  const { default: Provider } = await import(require.resolve("oidc-provider"));
  const [{ kid, alg }] = keys;
  const provider = new Provider(config.issuer, {
    jwks: { keys: keys.map(jwk) },
    clients: config.clients,
    clientDefaults: { id_token_signed_response_alg: alg },
    enabledJWA: { idTokenSigningAlgValues: ["RS256", "ES256", "EdDSA"] },
    cookies: { keys: ["a key of this test alone"] },
    claims: { openid: ["sub"], profile: ["name"] },
    extraClientMetadata: { properties: ["roles"] },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => config.audience,
        useGrantedResource: () => true,
        getResourceServerInfo: () => ({
          scope: "billwire",
          audience: config.audience,
          accessTokenFormat: "jwt",
          accessTokenTTL: config.ttl ?? 300,
          jwt: { sign: { alg, kid } },
        }),
      },
    },
    ttl: { AccessToken: config.ttl ?? 300, ClientCredentials: config.ttl ?? 300 },
    extraTokenClaims: (ctx, token) => ({
      realm_access: { roles: ctx.oidc.client.roles ?? [] },
      ...(token.accountId ? { name: `Name of ${token.accountId}` } : { sub: token.clientId }),
    }),
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, name: `Name of ${id}` }) }),
    issueRefreshToken: (_, client) => client.grantTypeAllowed("refresh_token"),
    clientBasedCORS: (_, origin) => origin === config.allowedOrigin,
    interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
    async loadExistingGrant(ctx) {
      const grant = new ctx.oidc.provider.Grant({ clientId: ctx.oidc.client.clientId, accountId: ctx.oidc.session.accountId });
      grant.addOIDCScope("openid profile offline_access");
      grant.addResourceScope(config.audience, "billwire");
      await grant.save();
      return grant;
    },
  });
  // The gateway reaches it as port 443, whatever the port is.
  provider.proxy = true;
  return provider;
}

async function answer(request, response) {
  const { pathname } = new URL(request.url, config.issuer);
  counts[pathname] = (counts[pathname] ?? 0) + 1;
  if (away) return request.socket.destroy();
  if (!pathname.startsWith("/interaction/")) return current.callback()(request, response);
  const { params } = await current.interactionDetails(request, response);
  await current.interactionFinished(request, response, { login: { accountId: params.login_hint ?? "jane" }, consent: {} });
}

async function main() {
  current = await provide(config.keys);
  const server = https.createServer({ cert: config.certificate, key: config.key }, (request, response) => {
    answer(request, response).catch((error) => {
      console.error(error);
      response.statusCode = 500;
      response.end();
    });
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  console.log(JSON.stringify({ port: server.address().port }));
  for await (const line of createInterface({ input: process.stdin })) {
    const command = JSON.parse(line);
    if (command.keys) current = await provide(command.keys);
    if ("away" in command) {
      away = command.away;
      if (away) server.closeAllConnections();
    }
    console.log(JSON.stringify({ counts }));
  }
  process.exit(0);
}

main();
