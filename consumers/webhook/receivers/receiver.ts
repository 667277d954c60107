// Receives webhooks of Billwire: verifies each call, takes each event once, and tells which events come late.
//
//     node receiver.ts PORT SECRET[,SECRET...]
//
// A secret is `whsec_...`, or the public key `whpk_...` of an ed25519 pair. Needs nothing but Node.js. Listens on 127.0.0.1 without TLS,
// because a proxy in front of it has the certificate.

import { createHmac, createPublicKey, timingSafeEqual, verify as verifyEd25519 } from "node:crypto";
import { createServer, type IncomingHttpHeaders } from "node:http";

// More than any event has, so that a stranger cannot fill the memory.
const BODY_MAX = 4 * 1024 * 1024;

// [verify]
/** Whether one of the secrets has signed these bytes, at most five minutes away from now. */
function verify(secrets: string[], headers: IncomingHttpHeaders, body: Buffer): boolean {
  const [id, timestamp, signatures] = ["id", "timestamp", "signature"].map((name) => String(headers[`webhook-${name}`] ?? ""));
  // Number() of a text that is no number is NaN, and no comparison with NaN holds.
  const fresh = Math.abs(Date.now() / 1000 - Number(timestamp)) <= 5 * 60;
  if (!id || !fresh) return false;
  const signed = Buffer.concat([Buffer.from(`${id}.${timestamp}.`), body]);
  // During a rotation a call has several signatures. One that fits is enough.
  return signatures.split(" ").some((signature) => secrets.some((secret) => fits(secret, signature, signed)));
}

function fits(secret: string, signature: string, signed: Buffer): boolean {
  const [kind, key = ""] = secret.split("_");
  const [version, text = ""] = signature.split(",");
  const given = Buffer.from(text, "base64");
  if (kind === "whsec" && version === "v1") {
    const expected = createHmac("sha256", Buffer.from(key, "base64")).update(signed).digest();
    // Unlike equals(), it takes the same time wherever the first wrong byte is. It throws if the lengths differ.
    return given.length === expected.length && timingSafeEqual(given, expected);
  }
  if (kind === "whpk" && version === "v1a") {
    const jwk = { kty: "OKP", crv: "Ed25519", x: Buffer.from(key, "base64").toString("base64url") };
    return verifyEd25519(null, signed, createPublicKey({ key: jwk, format: "jwk" }), given);
  }
  return false; // a version or a kind of key that this program does not know
}
// [/verify]

// [once]
type Event = { id: string; type: string; partitionkey: string; sequence: string };

const seen = new Set<string>(); // In production: a table whose primary key is the id.
const last = new Map<string, string>(); // The highest sequence of each key.

/** Takes an event once. Whoever stores events does all of this in one transaction: the effect, the id and the sequence. */
function take({ id, type, partitionkey: key, sequence }: Event): void {
  if (seen.has(id)) return;
  // Sequences have leading zeros, so they compare as texts. A late event must not replace newer state.
  const late = sequence < (last.get(key) ?? "");
  console.log(JSON.stringify({ id, type, key, sequence, late }));
  seen.add(id);
  if (!late) last.set(key, sequence);
}
// [/once]

const secrets = process.argv[3].split(",");
createServer(async (request, response) => {
  try {
    const chunks: Buffer[] = [];
    let length = 0;
    for await (const chunk of request) {
      chunks.push(chunk);
      length += chunk.length;
      if (length > BODY_MAX) return response.writeHead(413, { connection: "close" }).end();
    }
    // The bytes as they came: JSON that was read and written again has other bytes, and the signature does not fit.
    const body = Buffer.concat(chunks);
    if (!verify(secrets, request.headers, body)) return response.writeHead(400).end();
    take(JSON.parse(body.toString()));
    response.writeHead(204).end();
  } catch {
    response.writeHead(500).end(); // the call comes again
  }
}).listen(Number(process.argv[2]), "127.0.0.1");
