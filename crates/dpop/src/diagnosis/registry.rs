//! The one registry of diagnoses. Identifiers never change their meaning: logs, metrics, pages and people refer to
//! them. `telling` orders findings: the higher, the likelier it is the cause and not a consequence.

use super::{Actor, Entry};

macro_rules! registry {
    ($($variant:ident = $id:literal, $acts:ident, $telling:literal, $spec:literal,
        $title:literal, $cause:literal, $fix:literal;)*) => {
        /// What is wrong, as a stable code. Letters: H fields and transport, P proof, B binding, K access token,
        /// T token request and answer, M MCP, S state and operation. There will be more of them.
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        #[non_exhaustive]
        pub enum DiagnosisCode {
            $(#[doc = $title] $variant,)*
        }

        impl DiagnosisCode {
            /// Every code, in the order of the registry.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Its entry.
            pub const fn entry(self) -> &'static Entry {
                match self {
                    $(Self::$variant => &Entry {
                        id: $id,
                        acts: Actor::$acts,
                        telling: $telling,
                        spec: $spec,
                        title: $title,
                        cause: $cause,
                        fix: $fix,
                    },)*
                }
            }
        }
    };
}

registry! {
    // H: fields and transport.
    ProofMissing = "H01", Proxy, 90, "RFC 9449 §7.1",
        "the request has no DPoP field",
        "The client sent the token without a proof, or a gateway, CDN or CORS rule removed the DPoP field on the way.",
        "Let every hop pass the DPoP request field; allow it in CORS preflights; make the client sign this request.";
    ProofRepeated = "H02", Client, 95, "RFC 9449 §4.3 check 1",
        "the request has more than one proof",
        "Two layers sign: an SDK and a proxy, or a retry layer that adds a field instead of replacing it.",
        "Sign in one place only, below the layer that retries, and set the field instead of adding to it.";
    FieldsTooLarge = "H03", Client, 70, "RFC 6585 §5, RFC 9449 §11",
        "the request's fields are too large for the server",
        "A big key (RSA, ML-DSA) in the proof and a long access token exceed a limit on the way.",
        "Use ES256, shorten the token, or raise the header limits of server and proxies.";
    CorsHidden = "H04", Server, 70, "RFC 9449 §8, §9",
        "a browser cannot read DPoP-Nonce or WWW-Authenticate of this answer",
        "The answer allows an origin but does not expose these fields, so a script never sees the nonce.",
        "Send Access-Control-Expose-Headers: DPoP-Nonce, WWW-Authenticate on every answer, also on errors.";
    Redirected = "H05", Client, 60, "RFC 9449 §4.3 check 9",
        "the server redirects",
        "A proof is good for one URL. A client that follows the redirect with the same proof is refused there.",
        "Make a new proof for the new URL, or call the final URL at once.";
    HtuSlashes = "H07", Proxy, 92, "RFC 9449 §4.3 check 9",
        "htu and request differ in slashes only",
        "Something between client and server merges double slashes or decodes %2F.",
        "Switch the rewriting off (nginx: merge_slashes off) or sign the path that arrives.";
    NonceNotGiven = "H08", Server, 85, "RFC 9449 §8, §9",
        "use_dpop_nonce without exactly one usable DPoP-Nonce field",
        "The server or a layer that rewrites errors lost or doubled the DPoP-Nonce field, so the client cannot go on.",
        "Send exactly one DPoP-Nonce with every use_dpop_nonce.";
    TokenMissing = "H09", Client, 50, "RFC 9449 §7.1, RFC 6750 §3.1",
        "the request has no access token",
        "Nothing was presented, or the Authorization field was removed on the way, or has another scheme.",
        "Send Authorization: DPoP with the access token, and a DPoP field with a proof.";
    AuthorizationRepeated = "H10", Client, 95, "RFC 6750 §2",
        "the request has more than one Authorization field",
        "An SDK and a proxy both add credentials.",
        "Let one of them add the field.";
    TokenFieldMalformed = "H11", Client, 94, "RFC 9449 §7.1, RFC 9110 §11.2",
        "the access token in the Authorization field is empty or malformed",
        "A quote, comma, blank or line end came with the token, or a variable was empty.",
        "Send the token as it was issued: scheme, one space, token, nothing else.";
    TokenOutsideHeader = "H12", Client, 94, "RFC 6750 §2, RFC 9449 §7.1",
        "the access token was sent in the query or body",
        "An old way of RFC 6750 is in use; a DPoP-bound token goes into the Authorization field only.",
        "Move the token to the Authorization field. Treat one that was in a URL as lost: URLs are logged.";
    AuthorityForeign = "H13", Proxy, 93, "RFC 9110 §7.4, §15.5.20",
        "the request names another authority than the server's public origin",
        "The public origin is configured for another name, or a request reached this server by a wrong name.",
        "Configure the name that clients use as public origin or alias.";
    TargetMalformed = "H14", Client, 93, "RFC 3986 §3.3",
        "the request's target is not a path of RFC 3986",
        "The path holds a character that must be percent-encoded, or a broken percent-encoding.",
        "Percent-encode the path before sending and before signing.";

    // P: the proof.
    ProofNotCompact = "P01", Client, 96, "RFC 9449 §4.3 check 2, RFC 7515 §3.1",
        "the proof is not a compact JWS",
        "It was cut off, is in JSON serialization, is padded or in the wrong base64 alphabet, or is far too long.",
        "Send three base64url parts without padding, joined by dots; look for header size limits on the way.";
    TypMismatch = "P02", Client, 94, "RFC 9449 §4.3 check 4",
        "typ is not dpop+jwt",
        "A general JWT signer made it, or it is another kind of JWT, for instance the access token itself.",
        "Set typ to dpop+jwt, with a plain plus sign.";
    AlgNotAccepted = "P03", Client, 93, "RFC 9449 §4.3 check 5",
        "the proof's algorithm is not accepted",
        "alg is absent, none, symmetric, unknown, or not on the server's list.",
        "Use an algorithm that the server lists in algs of its challenge; ES256 is accepted nearly everywhere.";
    AlgOtherName = "P03-name", Client, 93, "RFC 9864 §2.2, RFC 8037 §3.1",
        "the proof's algorithm is accepted by its other name only",
        "Ed25519 was registered as EdDSA first; client and server know one of the two names each.",
        "Write the name that the server lists into alg, with the same key; or let the server list both names.";
    KeyUnfit = "P04", Client, 93, "RFC 9449 §4.3 check 6, RFC 7518 §3, §6",
        "the key in the proof is malformed, too weak, or does not fit the algorithm",
        "Curve and alg do not go together, coordinates lack leading zeros, RSA is under 2048 bits, or jwk is absent.",
        "Make a new key for the algorithm and write its public members as RFC 7518 says, in full length.";
    KeyPrivate = "P05", Client, 100, "RFC 9449 §4.3 check 7",
        "the proof shows a private or symmetric key",
        "The whole key was exported into the header. Whoever saw this proof can sign as this client.",
        "The key is lost: make a new one, revoke every token bound to it, and export public members only.";
    SignatureInvalid = "P06", Client, 91, "RFC 9449 §4.3 check 6",
        "the signature does not verify with the key in the header",
        "Another key signed than the one shown, or the text was changed after signing.",
        "Load key and jwk from one source; let nothing decode and re-encode the proof.";
    SignatureDer = "P06-der", Client, 92, "RFC 7518 §3.4",
        "the signature is in DER form",
        "The crypto library gives ASN.1; JWS wants r and s joined in fixed length.",
        "Convert the signature (often called P1363 or raw form).";
    ClaimBad = "P07", Client, 93, "RFC 9449 §4.2, §4.3 check 3",
        "a claim of the proof is absent, of the wrong type, empty or too long",
        "The builder leaves it out or writes text for a number.",
        "Send jti, htm, htu as text and iat as a number; jti of at most 256 bytes.";
    IatMilliseconds = "P07-ms", Client, 94, "RFC 7519 §2",
        "iat is in milliseconds",
        "The language's clock gives milliseconds; a NumericDate is in seconds.",
        "Divide by 1000 before signing.";
    HtmMismatch = "P08", Proxy, 90, "RFC 9449 §4.3 check 8",
        "htm is not the method of the request",
        "A forward-auth sub-request lost the method, a method override is in use, or letter case differs.",
        "Sign the method that goes over the wire, in capitals; pass the original method to the checking server.";
    HtuScheme = "P09-scheme", Proxy, 92, "RFC 9449 §4.3 check 9",
        "htu and request differ in the scheme",
        "TLS ends at a proxy and the server behind it takes its own plain-http URL for the public one.",
        "Configure the public origin with https at the server; do not derive it from the connection.";
    HtuHost = "P09-host", Proxy, 92, "RFC 9449 §4.3 check 9",
        "htu and request differ in the host",
        "A proxy rewrites Host, the server is called by an internal name, or the proof is for another server.",
        "Configure the public origin by the name that clients use; sign the URL that is called.";
    HtuPort = "P09-port", Proxy, 92, "RFC 9449 §4.3 check 9",
        "htu and request differ in the port",
        "The server sees an inner port, or a port forwarding stands between.",
        "Configure the public origin with the port that clients use, none if it is the scheme's default.";
    HtuPrefix = "P09-prefix", Proxy, 92, "RFC 9449 §4.3 check 9",
        "htu and request differ by a prefix of the path",
        "A gateway adds or removes a path prefix before the check.",
        "Give the public origin the path under which clients know the server, or check before rewriting.";
    HtuTrailingSlash = "P09-slash", Client, 91, "RFC 9449 §4.3 check 9",
        "htu and request differ by a slash at the end",
        "One side adds or removes it, often a router or a base URL that ends in a slash.",
        "Sign the very URL that is sent.";
    HtuCase = "P09-case", Client, 91, "RFC 9449 §4.3 check 9",
        "htu and request differ in the letter case of the path",
        "Paths are case-sensitive in htu even where the server's router is not.",
        "Sign the very URL that is sent.";
    HtuPath = "P09-path", Client, 89, "RFC 9449 §4.3 check 9",
        "htu and request differ in the path",
        "The proof was made for another URL: another endpoint, the issuer, or the request before a redirect.",
        "Make a proof for each request, for the URL that is sent.";
    HtuMalformed = "P09-form", Client, 91, "RFC 9449 §4.3 check 9, RFC 3986",
        "htu is not an absolute http or https URI",
        "A path alone, user information, blanks, back-slashes or characters beyond ASCII were signed.",
        "Sign scheme, host and path as they are sent, percent-encoded.";
    ProofStale = "P10-old", Client, 80, "RFC 9449 §4.3 check 11, §11.1",
        "the proof is too old for the server's clock",
        "The client's clock is behind, or the request waited in a queue or was sent again with its old proof.",
        "Set the client's clock, and sign each attempt just before it is sent.";
    ProofFromFuture = "P10-future", Client, 82, "RFC 9449 §4.3 check 11, §11.1",
        "the proof is ahead of the server's clock",
        "The client's clock is ahead of the server's, or the server's is behind.",
        "Set the clock that is wrong; compare both with the Date field of several servers.";
    AthMissing = "P11-missing", Client, 90, "RFC 9449 §4.3 check 12a",
        "the proof has no ath",
        "The proof was made as for the token endpoint, without the access token.",
        "Pass the access token when the proof is made: ath is base64url of its SHA-256.";
    AthMismatch = "P11", Client, 90, "RFC 9449 §4.3 check 12a",
        "ath is not the hash of the access token",
        "The token was renewed after signing, or trimmed, or ath is hex, padded, or another hash.",
        "Hash the very characters of the token that is sent, SHA-256, base64url without padding.";
    AthUnexpected = "P11-extra", Client, 75, "RFC 9449 §4.2",
        "the proof has an ath where no access token is sent",
        "The proof was made for a resource and sent to the authorization server.",
        "Leave ath out at the token and PAR endpoints.";
    NonceMissing = "P12-missing", Client, 78, "RFC 9449 §8, §9",
        "the server wants a nonce and the proof has none",
        "First request, or a client that does not keep nonces.",
        "Take DPoP-Nonce of the answer into a new proof, with a new jti, and send the request once more.";
    NonceUnknown = "P12", Client, 78, "RFC 9449 §8.2, §9",
        "the nonce in the proof is not one of this server",
        "It is another server's (nonces are kept by origin), from before a restart, or of a node with another key.",
        "Keep nonces by origin and use the newest; give all nodes one nonce key.";
    NonceExpired = "P12-old", Client, 77, "RFC 9449 §8.2",
        "the nonce in the proof is too old",
        "The client kept it for longer than the server takes it.",
        "Always use the newest DPoP-Nonce, also those of 200 answers.";
    NonceForEpoch = "P12-epoch", Client, 76, "RFC 9449 §11.1, §11.3",
        "the server started a moment ago and wants a nonce for proofs made before",
        "Its replay memory does not reach back to the time of the proof.",
        "Nothing but the usual: one more try with the nonce of the answer.";
    NonceRefusedAgain = "P13", Server, 79, "RFC 9449 §8, §9",
        "the server asks for a nonce although the proof has one",
        "The nonce is old or another server's, or the server does not take its own, for instance behind several nodes.",
        "Try once with the newest nonce; if that fails, stop and give all nodes of the server one nonce key.";
    Replayed = "P14", Client, 88, "RFC 9449 §11.1",
        "the proof was used before",
        "A retry or hedging layer sent it again, two workers share a seeded random generator, or somebody stole it.",
        "Sign every attempt anew, below the layer that retries, with 128 random bits of jti.";
    CritPresent = "P15", Client, 92, "RFC 7515 §4.1.11",
        "the proof has critical header parameters",
        "crit or b64 is set; no extension is defined for proofs, so none is understood.",
        "Leave crit and b64 out.";
    JsonBad = "P16", Client, 95, "RFC 7515 §4, RFC 8725 §2.4",
        "header or claims are not strict JSON",
        "A member is there twice, something follows the object, or the JSON was joined by hand.",
        "Write header and claims with a JSON library, each member once.";
    BeforeEpoch = "P17", Client, 74, "RFC 9449 §11.1",
        "the proof was made before the server began to remember",
        "The server started a moment ago and gives no nonces, so it cannot know whether the proof was used.",
        "Make a new proof. To spare clients this, switch nonces on at the server.";

    // B: the binding between token and key.
    JktMismatch = "B01", Client, 90, "RFC 9449 §4.3 check 12b",
        "the access token is bound to another key than the proof's",
        "The key was made anew after login, another profile's key is in use, or the token was stolen.",
        "Use the key that was used at the token endpoint; keep it with the token. If neither is known: revoke.";
    BoundAsBearer = "B02", Client, 92, "RFC 9449 §7.2",
        "a bound access token was sent as Bearer",
        "An old client, or somebody who has the token and not the key.",
        "Use the DPoP scheme with a proof; in a migration list the client as an exception until a date.";
    NotBound = "B03", Issuer, 88, "RFC 9449 §6, §7.1",
        "the access token is not bound to a key",
        "The authorization server did not bind it: DPoP is off there or for this client.",
        "Switch DPoP on for the client at the authorization server; check token_type and cnf of the next token.";
    MethodNotSupported = "B04", Client, 87, "RFC 7800 §3, RFC 8705 §3.1",
        "the access token is bound by a method that cannot be confirmed here",
        "cnf has another member than jkt, for instance x5t#S256 for a client certificate.",
        "Ask for a token bound by jkt alone, or call a server that confirms the other method.";
    ConfirmationMalformed = "B06", Issuer, 89, "RFC 7800 §3, RFC 9449 §6.1",
        "the cnf claim of the access token is malformed",
        "cnf is no object, empty, or its jkt is not 43 characters of base64url.",
        "Mend it at the authorization server.";
    BearerNotAccepted = "B07", Client, 85, "RFC 9449 §7.1",
        "only bound access tokens are accepted here",
        "A Bearer token was sent to a server at stage require.",
        "Get a token with a proof at the token endpoint and send it with the DPoP scheme.";

    // K: the access token.
    IssuerUnknown = "K01", Client, 84, "RFC 9068 §4",
        "the access token is of an issuer that is not trusted here",
        "Another tenant or environment, or a slash at the end of iss.",
        "Get the token from the issuer that the resource's metadata names; compare iss to the letter.";
    TokenKeyUnknown = "K01-kid", Server, 83, "RFC 9068 §4, RFC 7517 §4.5",
        "the issuer has no key that could have signed the access token",
        "The issuer rotated its keys, or the token is of another tenant.",
        "Let the server reach the issuer's JWKS; compare kid with what the issuer publishes.";
    TokenExpired = "K02", Client, 86, "RFC 9068 §4",
        "the access token has expired",
        "It was not renewed in time, or the server's clock is ahead.",
        "Refresh the token before it expires.";
    TokenNotYetValid = "K02-early", Issuer, 83, "RFC 7519 §4.1.5",
        "the access token is not valid yet",
        "The issuer's clock is ahead, or the server's is behind.",
        "Set the clock that is wrong.";
    AudienceMismatch = "K03", Client, 87, "RFC 9068 §4, RFC 8707",
        "the access token is for another audience",
        "It was asked for without resource, or for another one.",
        "Ask for the token with the resource that the server's metadata names.";
    InsufficientScope = "K04", Client, 90, "RFC 6750 §3.1",
        "the access token lacks a scope",
        "Ordinary authorization; the proof is fine.",
        "Ask for the scopes that the challenge names.";
    StepUp = "K05", User, 90, "RFC 9470 §3",
        "the server wants a newer or stronger authentication of the user",
        "The login is too old or too weak for this request.",
        "Log in again with the acr_values and max_age of the challenge.";
    TokenInactive = "K06", User, 87, "RFC 7662 §2.2",
        "the issuer says that the access token is not active",
        "It was revoked, or the session ended.",
        "Log in again.";
    TokenTypMismatch = "K07", Client, 88, "RFC 9068 §4",
        "the token is not an access token",
        "An ID token, a proof or another JWT was sent in its place.",
        "Send access_token of the token answer, not id_token.";
    TokenMalformed = "K08", Client, 88, "RFC 9068 §4, RFC 7515 §3.1",
        "the access token cannot be read",
        "It was cut off or changed, or is opaque where a JWT is expected.",
        "Send the token as it was issued; for opaque tokens configure introspection at the server.";
    TokenSignatureInvalid = "K09", Client, 88, "RFC 9068 §4",
        "the access token's signature does not verify",
        "It was changed, or another issuer's key has the same kid.",
        "Get a new token; compare issuer and kid.";
    TokenAlgNotAccepted = "K10", Issuer, 86, "RFC 9068 §2.1, RFC 8725 §3.1",
        "the access token's algorithm is not accepted",
        "The issuer signs with an algorithm that is not on the list for it.",
        "Configure issuer or server so that the lists meet.";
    TokenClaimBad = "K11", Issuer, 85, "RFC 9068 §2.2",
        "a claim of the access token is absent or of the wrong type",
        "The issuer's tokens do not follow RFC 9068.",
        "Switch the issuer to RFC 9068 tokens (at+jwt), or use introspection.";
    TokenRefused = "K12", Client, 40, "RFC 6750 §3.1",
        "the server refuses the access token",
        "Expired, revoked, for another audience, bound to another key, or of an issuer that is not trusted there.",
        "Look at the other findings; if there is none, get a new token and compare iss and aud with the metadata.";

    // T: token request and answer.
    ProofRefused = "T01", Client, 40, "RFC 9449 §5, §7.1",
        "the server refuses the proof",
        "Nothing that can be seen from here says why; if all checks pass, it may have been used before.",
        "Send a new proof for each attempt; compare the server's clock and public URL.";
    NonceChallenge = "T02", Client, 65, "RFC 9449 §8, §9",
        "the server asks for a nonce",
        "A normal step: the answer carries the nonce for the next try.",
        "Repeat the request once with the nonce of DPoP-Nonce in a new proof with a new jti.";

    // M: what an MCP server is asked for.
    McpNotAllowed = "M01", Client, 90, "MCP 2026-07-28 transports",
        "the policy has not this MCP method, tool, prompt or resource",
        "Ordinary authorization; token and proof are fine, and no other scope would help.",
        "Call what the server's operator allows, or have it added to the route.";
    McpFieldMismatch = "M02", Client, 94, "MCP 2026-07-28 transports",
        "Mcp-Method or Mcp-Name says something else than the body",
        "A proxy or SDK changed one of the two, or somebody names a harmless tool and calls another.",
        "Set the fields from the message that is sent; base64 in =?base64?…?= where the name is not plain.";
    McpUnreadable = "M03", Client, 93, "MCP 2026-07-28 transports, JSON-RPC 2.0",
        "the body is no MCP message that every reader reads alike",
        "It is no JSON, has a member twice or in two letter cases, is a batch, compressed, or broke off.",
        "Send one JSON-RPC message as application/json in UTF-8, each member once.";
    McpTooLarge = "M04", Client, 90, "RFC 9110 §15.5.14",
        "the MCP message is longer than what is read",
        "A policy for tools is judged by the body, which is read up to a bound.",
        "Send less, or raise max_body of the route.";
    McpVersionTooOld = "M05", Client, 88, "MCP 2026-07-28 transports",
        "the client speaks an MCP version whose servers do not compare header and body",
        "The route judges by the fields alone, and MCP-Protocol-Version is absent or older than it asks for.",
        "Update the client, or let the route read bodies.";
    McpHttpMethod = "M06", Client, 88, "MCP 2026-07-28 transports",
        "the HTTP method is not one of this MCP endpoint",
        "An old client opens a GET stream or ends a session where the route has none.",
        "Send messages by POST; set sessions = true at the route for old clients.";
    McpSessionUnknown = "M07", Client, 89, "MCP 2025-11-25 transports",
        "the MCP session is not one of this caller",
        "Another key or user began it, the gateway has another session key since, or somebody took it.",
        "Begin a new session with the key and token that it is to be used with; share session keys among nodes.";
    McpBusy = "M08", Server, 90, "RFC 9110 §15.6.4",
        "too many MCP messages are being read at once",
        "Many long or slow bodies come at the same time.",
        "Try again later with a new proof.";
    McpShareExhausted = "M09", Client, 90, "RFC 6585 §4",
        "too many MCP messages of this client are being read at once",
        "It sends many long messages at the same time, or holds them open.",
        "Send each message at once and fewer beside each other; try again with a new proof.";

    // S: state and operation.
    StoreUnavailable = "S01", Server, 99, "RFC 9449 §11.1",
        "the replay store cannot judge",
        "The store is down, slow, or full.",
        "Restore it; requests are refused until then, so that nothing is accepted twice.";
    ServerClock = "S06", Server, 83, "RFC 9449 §11.1",
        "the server's clock differs from the examiner's",
        "One of the two clocks is wrong; if other clients have the same trouble, it is the server's.",
        "Compare with the Date field of other servers and set the wrong clock by NTP.";
    QuotaExhausted = "S09", Client, 90, "RFC 9449 §11.1",
        "the client has used up its share of the replay store",
        "It sends more requests within one window than it is allowed.",
        "Slow down, or raise the quota at the server.";
    IssuerUnavailable = "S10", Server, 98, "RFC 9068 §4, RFC 7662 §4",
        "the server cannot reach the issuer to judge the access token",
        "Network, DNS, TLS or the issuer itself; often blocked egress.",
        "Let the server reach the issuer's JWKS or introspection endpoint.";
    ServerFailed = "S11", Server, 45, "RFC 9110 §15.6",
        "the server failed",
        "An answer of 500 or above is no verdict on token or proof.",
        "Try again later with a new proof; look into the server's log.";
}
