//! What can be wrong with a proof, one thing at a time. Some of it is not wrong at all.

use countersign_dpop::jose::{Algorithm, SoftwareKey, decode_base64url, encode_base64url};

use crate::forge::{Draft, Random};

const OTHER_TYPES: &[&str] = &["7", "true", "null", "[]", "{}", "[\"a\"]"];

pub(crate) type Spoil = fn(&mut Draft, &mut Random);

pub(crate) const BEFORE_SIGNING: &[(&str, Spoil)] = &[
    ("unknown members", |draft, random| {
        for members in [&mut draft.claims, &mut draft.header, &mut draft.jwk] {
            let value = random.pick(&["1", "\"a\"", "null", "[1,{}]", "{\"a\":{\"b\":[]}}", "-1.5e-10"]);
            Draft::set(members, "other", value);
        }
    }),
    ("another order", |draft, random| {
        for members in [&mut draft.header, &mut draft.jwk, &mut draft.claims] {
            for end in (1..members.len()).rev() {
                members.swap(end, random.below(end + 1));
            }
        }
    }),
    ("escapes", |draft, random| {
        let members = random.pick(&[0, 1, 2]);
        let members = [&mut draft.header, &mut draft.jwk, &mut draft.claims].into_iter().nth(members).unwrap();
        let place = random.below(members.len());
        let first = members[place].0.as_bytes()[1];
        members[place].0 = format!("\"\\u{:04x}{}", first, &members[place].0[2..]);
        Draft::set(&mut draft.claims, "htm", "\"G\\u0045T\\n\"");
    }),
    ("white space", |draft, random| draft.between = random.pick(&[" , ", ",\n\t", "\r\n,"])),
    ("typ in another case", |draft, random| {
        Draft::set(&mut draft.header, "typ", random.pick(&["\"DPoP+JWT\"", "\"dpop+JWT\""]));
    }),
    ("typ with application/", |draft, _| Draft::set(&mut draft.header, "typ", "\"application/dpop+jwt\"")),
    ("another typ", |draft, random| {
        let typ = random.pick(&["\"JWT\"", "\"dpop+jwt;a=b\"", "\"\"", "7", "null", "[\"dpop+jwt\"]"]);
        Draft::set(&mut draft.header, "typ", typ);
    }),
    ("another alg", |draft, random| {
        let names =
            ["none", "HS256", "ES256", "ES384", "ES512", "PS256", "RS256", "EdDSA", "Ed25519", "es256", "ES521"];
        Draft::set(&mut draft.header, "alg", format!("\"{}\"", random.pick(&names)));
    }),
    ("alg of another type", |draft, random| Draft::set(&mut draft.header, "alg", random.pick(OTHER_TYPES))),
    ("private member", |draft, random| {
        let name = random.pick(&["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"]);
        Draft::set(&mut draft.jwk, name, random.pick(&["\"AQAB\"", "\"\"", "null", "[]"]));
    }),
    ("coordinate of another form", |draft, random| {
        let place = draft.jwk.iter().position(|(name, _)| name == "\"x\"" || name == "\"n\"").unwrap();
        let value = draft.jwk[place].1.trim_matches('"').to_owned();
        draft.jwk[place].1 = match random.below(6) {
            0 => format!("\"{value}=\""),
            1 => format!("\"AA{value}\""),
            2 => format!("\"{}\"", &value[4..]),
            3 => format!("\"{value}A\""),
            4 => format!("\"{value}\\n\""),
            _ => random.pick(OTHER_TYPES).to_owned(),
        };
    }),
    ("another point", |draft, random| {
        let place = draft.jwk.iter().position(|(name, _)| name == "\"x\"" || name == "\"n\"").unwrap();
        let value = draft.jwk[place].1.clone();
        let at = 1 + random.below(value.len() - 3);
        let other = if value.as_bytes()[at] == b'A' { "B" } else { "A" };
        draft.jwk[place].1.replace_range(at..=at, other);
    }),
    ("point of low order", |draft, random| {
        if draft.crv() == "\"Ed25519\"" {
            // The neutral point, plainly and with y + p: with it, this signature fits every message.
            let mut one = [0; 32];
            one[0] = 1;
            let mut more = [0xff; 32];
            (more[0], more[31]) = (0xee, 0x7f);
            Draft::set(&mut draft.jwk, "x", format!("\"{}\"", encode_base64url(random.pick(&[one, more]))));
            draft.signature = Some([one, [0; 32]].concat());
        }
    }),
    ("curve or kty", |draft, random| {
        let curves = ["\"P-256\"", "\"P-384\"", "\"secp256k1\"", "\"Ed25519\"", "\"X25519\"", "null"];
        let types = ["\"EC\"", "\"OKP\"", "\"RSA\"", "\"oct\"", "7"];
        if random.chance(2) {
            Draft::set(&mut draft.jwk, "crv", random.pick(&curves));
        } else {
            Draft::set(&mut draft.jwk, "kty", random.pick(&types));
        }
    }),
    ("jwk of another shape", |draft, random| {
        let jwk = draft.jwk_text();
        let value = match random.below(5) {
            0 => format!("\"{}\"", jwk.replace('"', "\\\"")),
            1 => format!("[{jwk}]"),
            2 => format!("{{\"keys\":[{jwk}]}}"),
            3 => "{}".to_owned(),
            _ => "null".to_owned(),
        };
        Draft::set(&mut draft.header, "jwk", value);
    }),
    ("purpose of the key", |draft, random| {
        let (name, value) = random.pick(&[
            ("use", "\"sig\""),
            ("use", "\"enc\""),
            ("use", "7"),
            ("key_ops", "[\"verify\"]"),
            ("key_ops", "[\"sign\"]"),
            ("key_ops", "\"verify\""),
            ("alg", "\"ES256\""),
            ("alg", "\"EdDSA\""),
            ("alg", "\"RSA-OAEP\""),
            ("alg", "null"),
        ]);
        Draft::set(&mut draft.jwk, name, value);
    }),
    ("crit", |draft, random| {
        let crit = random.pick(&["[]", "[\"b64\"]", "[\"alg\"]", "[\"x\"]", "\"x\"", "null"]);
        Draft::set(&mut draft.header, "crit", crit);
    }),
    ("b64", |draft, random| Draft::set(&mut draft.header, "b64", random.pick(&["true", "false", "null"]))),
    ("members for other uses", |draft, random| {
        let (name, value) = random.pick(&[
            ("kid", "\"k\""),
            ("kid", "7"),
            ("zip", "\"DEF\""),
            ("enc", "\"A128GCM\""),
            ("cty", "\"JWT\""),
            ("cty", "\"json\""),
            ("jku", "\"http://127.0.0.1:1/\""),
            ("x5u", "7"),
            ("x5c", "[\"AA==\"]"),
            ("x5c", "\"AA==\""),
            ("x5t", "\"AAAA\""),
            ("url", "\"https://rs.example/\""),
        ]);
        Draft::set(&mut draft.header, name, value);
    }),
    ("member twice in the header", |draft, random| {
        let member = random.pick(&[0, 1, 2]);
        draft.header.push(draft.header[member].clone());
    }),
    ("member twice in the key", |draft, random| {
        let member = draft.jwk[random.below(draft.jwk.len())].clone();
        draft.jwk.push(member);
    }),
    ("member twice in the claims", |draft, random| {
        let member = draft.claims[random.below(draft.claims.len())].clone();
        let again = (member.0, if random.chance(2) { "\"other\"".to_owned() } else { member.1 });
        draft.claims.insert(0, again);
    }),
    ("unknown member twice", |draft, random| {
        let members = if random.chance(2) { &mut draft.header } else { &mut draft.claims };
        members.extend([("\"x\"".into(), "1".into()), ("\"x\"".into(), "2".into())]);
    }),
    ("claim absent", |draft, random| {
        draft.claims.remove(random.below(4));
    }),
    ("claim of another type", |draft, random| {
        let name = random.pick(&["jti", "htm", "htu", "iat", "ath", "nonce"]);
        Draft::set(&mut draft.claims, name, random.pick(OTHER_TYPES));
    }),
    ("number of another form", |draft, random| {
        let numbers = ["1700000000.5", "1.7e9", "1700000000.0", "-1", "0", "-0.5", "1e10"];
        Draft::set(&mut draft.claims, "iat", random.pick(&numbers));
    }),
    ("number of another size", |draft, random| {
        let numbers =
            ["9223372036854775807", "9223372036854775808", "-9223372036854775809", "1e300", "1e400", "-1e400"];
        Draft::set(&mut draft.claims, "iat", random.pick(&numbers));
    }),
    ("text as a number", |draft, _| Draft::set(&mut draft.claims, "iat", "\"1700000000\"")),
    ("exp and nbf", |draft, random| {
        let value = random.pick(&["1700000060", "1700000060.5", "0", "\"1700000060\"", "null", "[]", "1e300"]);
        Draft::set(&mut draft.claims, random.pick(&["exp", "nbf"]), value);
    }),
    ("length of a claim", |draft, random| {
        let value = format!("\"{}\"", "j".repeat(random.pick(&[0, 1, 255, 256, 257, 1_000])));
        Draft::set(&mut draft.claims, random.pick(&["jti", "htm", "htu"]), value);
    }),
    ("odd characters", |draft, random| {
        let value = random.pick(&["\"\\u0000\"", "\"a\\u0000b\"", "\"\\ud83d\\ude00\"", "\"\\u202e\"", "\"\\\\\\\"\""]);
        Draft::set(&mut draft.claims, random.pick(&["jti", "nonce"]), value);
    }),
    ("no text at all", |draft, random| {
        let value =
            random.pick(&["\"\\ud800\"", "\"\\udc00\"", "\"\\x41\"", "\"a\tb\"", "\"\\u12\"", "NaN", "Infinity"]);
        Draft::set(&mut draft.claims, random.pick(&["jti", "nonce", "x"]), value);
    }),
    ("depth", |draft, random| {
        let depth = random.pick(&[2, 6, 7, 8, 20, 120]);
        Draft::set(&mut draft.claims, "x", format!("{}{}", "[".repeat(depth), "]".repeat(depth)));
    }),
    ("many members", |draft, random| {
        let count = random.pick(&[100, 120, 130, 500]);
        Draft::set(&mut draft.claims, "x", format!("[{}]", vec!["0"; count].join(",")));
    }),
    ("end of the header", |draft, random| draft.header_end = random.pick(&["} ", "}}", ",}", "", "}x", "}\u{0}"])),
    ("end of the claims", |draft, random| draft.claims_end = random.pick(&["}\n", "}{}", ",}", "", "}//", "/**/}"])),
    ("length of the whole", |draft, random| {
        let length = random.pick(&[1_000, 2_000, 12_000]);
        Draft::set(&mut draft.claims, "x", format!("\"{}\"", "x".repeat(length)));
    }),
];

pub(crate) type SpoilText = fn(String, &SoftwareKey, &mut Random) -> String;

pub(crate) const AFTER_SIGNING: &[(&str, SpoilText)] = &[
    ("one character changed", |text, _, random| {
        let mut text = text.into_bytes();
        let place = random.below(text.len());
        text[place] = random.pick(b"ABCxyz019-_.=+/ \n");
        String::from_utf8(text).unwrap()
    }),
    ("one character lost", |mut text, _, random| {
        text.remove(random.below(text.len()));
        text
    }),
    ("one character more", |mut text, _, random| {
        text.insert(random.below(text.len() + 1), random.pick(&['A', '_', '.', '=', ' ', '\n', 'ü']));
        text
    }),
    ("padding", |text, _, random| {
        let padded = |part: &str| format!("{part}{}", "=".repeat((4 - part.len() % 4) % 4));
        let place = random.below(3);
        let part = |(at, part)| if at == place { padded(part) } else { part.to_owned() };
        text.split('.').enumerate().map(part).collect::<Vec<_>>().join(".")
    }),
    ("stray bits", |mut text, _, random| {
        let last = text.pop().unwrap();
        text.push(if last == 'A' { random.pick(&['B', 'D']) } else { char::from(last as u8 + 1) });
        text
    }),
    ("number of segments", |text, _, random| match random.below(4) {
        0 => format!("{text}."),
        1 => format!("{text}.AA"),
        2 => text.rsplit_once('.').unwrap().0.to_owned(),
        _ => format!(".{text}"),
    }),
    ("signature of another length", |text, _, random| {
        resigned(&text, |mut signature| {
            match random.below(3) {
                0 => signature.push(0),
                1 => {
                    signature.pop();
                }
                _ => signature.clear(),
            }
            signature
        })
    }),
    ("signature of zeros", |text, _, _| resigned(&text, |signature| vec![0; signature.len()])),
    ("one bit of the signature", |text, _, random| {
        resigned(&text, |mut signature| {
            let place = random.below(signature.len());
            signature[place] ^= 1 << random.below(8);
            signature
        })
    }),
    ("signature of something else", |text, key, _| resigned(&text, |_| key.sign_now(b"something else").unwrap())),
    ("the other s", |text, key, _| {
        if key.algorithm() != Algorithm::Es256 {
            return text;
        }
        resigned(&text, |mut signature| {
            let mut under = false;
            for place in (0..32).rev() {
                let (difference, first) = P256_ORDER[place].overflowing_sub(signature[32 + place]);
                let (difference, second) = difference.overflowing_sub(u8::from(under));
                (signature[32 + place], under) = (difference, first || second);
            }
            signature
        })
    }),
];

/// The order of P-256 (SP 800-186 §3.2.1.3).
const P256_ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad, 0xa7,
    0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

fn resigned(text: &str, change: impl FnOnce(Vec<u8>) -> Vec<u8>) -> String {
    let (input, signature) = text.rsplit_once('.').unwrap();
    let signature = change(decode_base64url(signature).unwrap());
    format!("{input}.{}", encode_base64url(signature))
}
