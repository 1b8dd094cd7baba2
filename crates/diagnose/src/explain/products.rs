//! The fix as a line of configuration or code, for products that people run.

use countersign_dpop::diagnosis::DiagnosisCode;

type Lines = &'static [(&'static str, &'static str)];

/// Product and line; empty where there is nothing more exact to say than the registry does.
pub(super) fn lines_for(code: DiagnosisCode) -> Lines {
    LINES.iter().find(|(known, _)| *known == code).map_or(&[], |(_, lines)| lines)
}

const LINES: &[(DiagnosisCode, Lines)] = &[
    (
        DiagnosisCode::ProofMissing,
        &[
            ("CORS", "Access-Control-Allow-Headers: Authorization, DPoP"),
            ("nginx", "proxy_set_header DPoP $http_dpop;"),
        ],
    ),
    (
        DiagnosisCode::FieldsTooLarge,
        &[
            ("nginx", "large_client_header_buffers 4 16k;"),
            ("Envoy", "max_request_headers_kb: 96"),
            ("Node", "node --max-http-header-size=32768"),
        ],
    ),
    (DiagnosisCode::CorsHidden, &[("CORS", "Access-Control-Expose-Headers: DPoP-Nonce, WWW-Authenticate")]),
    (
        DiagnosisCode::HtuSlashes,
        &[
            ("nginx", "merge_slashes off; and proxy_pass without a path after the upstream's name"),
            ("Envoy", "merge_slashes: false, path_with_escaped_slashes_action: KEEP_UNCHANGED"),
        ],
    ),
    (DiagnosisCode::HtuScheme, PUBLIC_NAME),
    (DiagnosisCode::HtuHost, PUBLIC_NAME),
    (DiagnosisCode::HtuPort, PUBLIC_NAME),
    (DiagnosisCode::HtmMismatch, &[("nginx", "auth_request: proxy_set_header X-Original-Method $request_method;")]),
    (
        DiagnosisCode::KeyPrivate,
        &[
            ("WebCrypto", "crypto.subtle.exportKey(\"jwk\", pair.publicKey), and make the private key not extractable"),
            ("Java", "jwk.toPublicJWK() (Nimbus)"),
        ],
    ),
    (
        DiagnosisCode::SignatureDer,
        &[
            ("Node", "crypto.sign(\"sha256\", input, { key, dsaEncoding: \"ieee-p1363\" })"),
            ("Java", "Signature.getInstance(\"SHA256withECDSAinP1363Format\")"),
            (".NET", "DSASignatureFormat.IeeeP1363FixedFieldConcatenation"),
            ("Python", "r, s = decode_dss_signature(der); r.to_bytes(32, \"big\") + s.to_bytes(32, \"big\")"),
            ("Go", "r.FillBytes(sig[:32]); s.FillBytes(sig[32:])"),
        ],
    ),
    (
        DiagnosisCode::IatMilliseconds,
        &[("JavaScript", "Math.floor(Date.now() / 1000)"), ("Java", "Instant.now().getEpochSecond()")],
    ),
    (
        DiagnosisCode::NotBound,
        &[
            ("Keycloak", "client settings: Require DPoP bound tokens"),
            ("Okta", "application: Require Demonstrating Proof of Possession (DPoP) header in token requests"),
        ],
    ),
    (DiagnosisCode::JktMismatch, &[("countersign", "key list, and compare jkt with the two above")]),
];

const PUBLIC_NAME: Lines = &[
    ("countersign", "gateway --public-origin https://the-name-that-clients-use"),
    ("nginx", "proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header Host $host;"),
    ("Spring", "server.forward-headers-strategy=framework"),
    ("Express", "app.set('trust proxy', 1)"),
    ("Keycloak", "--proxy-headers=xforwarded"),
];
