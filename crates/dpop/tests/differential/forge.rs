//! Proofs, good and spoiled in one way each, the same from run to run.

use countersign_dpop::jose::{Algorithm, SoftwareKey, encode_base64url};

use crate::spoil::{AFTER_SIGNING, BEFORE_SIGNING};

/// A proof and what was done to it.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) what: &'static str,
    pub(crate) text: String,
}

/// Makes cases without end.
pub(crate) struct Forge {
    keys: Vec<SoftwareKey>,
    random: Random,
}

impl Forge {
    /// Mostly ES256 and Ed25519. The keys are new in every run; what is done with them is not.
    pub(crate) fn new(seed: u64) -> Self {
        let algorithms = [
            [Algorithm::Es256; 8].as_slice(),
            &[Algorithm::Ed25519; 4],
            &[Algorithm::EdDsa; 4],
            &[Algorithm::Es384, Algorithm::Es512, Algorithm::Ps256, Algorithm::Rs256],
        ];
        let keys = algorithms.concat().into_iter().map(|algorithm| SoftwareKey::generate(algorithm).unwrap()).collect();
        Self { keys, random: Random(seed) }
    }

    /// One more. Half are spoiled before they are signed, a quarter after.
    pub(crate) fn case(&mut self) -> Case {
        let Self { keys, random } = self;
        let common = if random.chance(20) { keys.len() } else { 16 };
        let key = &keys[random.below(common)];
        let mut draft = Draft::good(key, random);
        let what = match random.below(4) {
            0 => "nothing",
            1 => {
                let (what, spoil) = random.pick(AFTER_SIGNING);
                let text = draft.signed(key);
                return Case { what, text: spoil(text, key, random) };
            }
            _ => {
                let (what, spoil) = random.pick(BEFORE_SIGNING);
                spoil(&mut draft, random);
                what
            }
        };
        Case { what, text: draft.signed(key) }
    }
}

/// SplitMix64: enough to choose by.
pub(crate) struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }

    /// True once in `n` times.
    pub(crate) fn chance(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    fn text(&mut self, characters: &str, most: usize) -> String {
        let characters: Vec<char> = characters.chars().collect();
        (0..=self.below(most)).map(|_| self.pick(&characters)).collect()
    }
}

/// Names and values as they stand in JSON.
pub(crate) type Members = Vec<(String, String)>;

/// A proof before it is signed.
pub(crate) struct Draft {
    pub(crate) header: Members,
    pub(crate) jwk: Members,
    pub(crate) claims: Members,
    pub(crate) between: &'static str,
    pub(crate) header_end: &'static str,
    pub(crate) claims_end: &'static str,
    pub(crate) signature: Option<Vec<u8>>,
}

impl Draft {
    fn good(key: &SoftwareKey, random: &mut Random) -> Self {
        let member = |name: &str, value: &str| (format!("\"{name}\""), value.to_owned());
        let jwk = key.public_jwk().to_json();
        let jwk = jwk.trim_matches(['{', '}']).split(',').map(|pair| {
            let (name, value) = pair.split_once(':').unwrap();
            (name.to_owned(), value.to_owned())
        });
        let text = |random: &mut Random, most| format!("\"{}\"", random.text("abzAZ09-_.~ ü😀", most));
        let mut claims = vec![
            member("jti", &text(random, 40)),
            member("htm", random.pick(&["\"GET\"", "\"POST\"", "\"PROPFIND\""])),
            member("htu", random.pick(&["\"https://rs.example/a/b\"", "\"http://[::1]:8080/\"", "\"https:\\/\\/as\""])),
            member("iat", &(1_700_000_000 + random.below(1_000)).to_string()),
        ];
        if random.chance(2) {
            claims.push(member("ath", "\"fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo\""));
        }
        if random.chance(2) {
            claims.push(member("nonce", &text(random, 60)));
        }
        Self {
            header: vec![
                member("typ", "\"dpop+jwt\""),
                member("alg", &format!("\"{}\"", key.algorithm())),
                member("jwk", ""),
            ],
            jwk: jwk.collect(),
            claims,
            between: ",",
            header_end: "}",
            claims_end: "}",
            signature: None,
        }
    }

    fn signed(&self, key: &SoftwareKey) -> String {
        let object = |members: &Members, end: &str| {
            let member = |(name, value): &(String, String)| {
                let value = if value.is_empty() { &self.jwk_text() } else { value };
                format!("{name}:{value}")
            };
            format!("{{{}{end}", members.iter().map(member).collect::<Vec<_>>().join(self.between))
        };
        let header = encode_base64url(object(&self.header, self.header_end));
        let input = format!("{header}.{}", encode_base64url(object(&self.claims, self.claims_end)));
        let signature = self.signature.clone().unwrap_or_else(|| key.sign_now(input.as_bytes()).unwrap());
        format!("{input}.{}", encode_base64url(signature))
    }

    pub(crate) fn jwk_text(&self) -> String {
        let members: Vec<_> = self.jwk.iter().map(|(name, value)| format!("{name}:{value}")).collect();
        format!("{{{}}}", members.join(","))
    }

    /// Sets `name` of the header, the key or the claims to `value`.
    pub(crate) fn set(members: &mut Members, name: &str, value: impl Into<String>) {
        let name = format!("\"{name}\"");
        match members.iter_mut().find(|(other, _)| *other == name) {
            Some((_, old)) => *old = value.into(),
            None => members.push((name, value.into())),
        }
    }

    pub(crate) fn crv(&self) -> &str {
        self.jwk.iter().find(|(name, _)| name == "\"crv\"").map_or("", |(_, value)| value)
    }
}
