// An OpenID provider with two clients of the redirect URI in argv[2]: `abtest`, with a secret and RS256, and `public`,
// without one and with ES256. Prints its URL, and ends when standard input does. PUT /accounts/SUB sets the claims of
// an account. With a file with a key and a certificate in argv[4], it speaks TLS.
import { generateKeyPairSync } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createServer as createSecureServer } from "node:https";
import { Provider } from "oidc-provider";

const accounts = new Map();
const jwk = (kind, options, kid, alg) => ({
  ...generateKeyPairSync(kind, options).privateKey.export({ format: "jwk" }), kid, alg, use: "sig",
});
const client = (client_id, algorithm, others) => ({
  client_id, redirect_uris: [process.argv[2]], post_logout_redirect_uris: [process.argv[3]],
  id_token_signed_response_alg: algorithm, grant_types: ["authorization_code"], response_types: ["code"], ...others,
});

const pem = process.argv[4] && readFileSync(process.argv[4]);
const server = pem ? createSecureServer({ key: pem, cert: pem }) : createServer();
server.listen(0, "127.0.0.1", () => {
  const issuer = `${pem ? "https" : "http"}://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    jwks: { keys: [
      jwk("rsa", { modulusLength: 2048 }, "first", "RS256"), jwk("ec", { namedCurve: "P-256" }, "second", "ES256"),
    ] },
    clients: [
      client("abtest", "RS256", { client_secret: "a secret: with + and %", token_endpoint_auth_method: "client_secret_basic" }),
      client("public", "ES256", { token_endpoint_auth_method: "none" }),
    ],
    claims: { openid: ["sub"], profile: ["preferred_username", "groups"], email: ["email", "email_verified"] },
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, ...accounts.get(id) }) }),
    cookies: { keys: ["only for tests"] },
  });
  const answer = provider.callback();
  server.on("request", (request, response) => {
    const [, sub] = request.method === "PUT" ? request.url.split("/accounts/") : [];
    if (!sub) return answer(request, response);
    let body = "";
    request.on("data", (part) => { body += part; });
    request.on("end", () => { accounts.set(sub, JSON.parse(body)); response.writeHead(204).end(); });
  });
  console.log(issuer);
});
process.stdin.on("end", () => process.exit()).resume();
