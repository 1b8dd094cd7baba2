//! What is remembered of clients' keys, who verifies by their tables, and what is done when an engine is caught out.

use countersign_resource::es256::{Disagreement, Engine, Verifier};
use countersign_resource::{KeyCache, KeyCacheCounts};

use crate::config::KeySettings;
use crate::metrics::Text;

/// The memory by `settings`.
pub(crate) fn open(settings: &KeySettings) -> KeyCache {
    let verifier = Verifier::new(settings.engine).with_sampling(settings.sampling);
    KeyCache::new(settings.cache, verifier.on_disagreement(report))
}

/// Says what somebody needs who looks into it. All of it is public: a hash is no proof, and a signature none without
/// what was signed.
fn report(found: &Disagreement) {
    tracing::error!(
        engine = %found.engine,
        disagreement = %found,
        "an ES256 engine was wrong; aws-lc-rs verifies everything until the next start; please report this line"
    );
}

/// Writes its state.
pub(crate) fn render(counts: &KeyCacheCounts, text: &mut Text) {
    let checks = &counts.checks;
    for (name, kind, help, value) in [
        ("countersign_key_cache_limit_bytes", "gauge", "Bytes for clients' keys and their tables", counts.limit),
        ("countersign_key_cache_bytes", "gauge", "Bytes that they take", counts.bytes),
        ("countersign_key_cache_keys", "gauge", "Clients' keys remembered", counts.headers),
        ("countersign_key_cache_hits_total", "counter", "Proofs by a remembered key", counts.hits),
        ("countersign_key_cache_misses_total", "counter", "Proofs by another key", counts.misses),
        ("countersign_es256_table_bytes", "gauge", "Bytes that tables take", counts.table_bytes),
        ("countersign_es256_undecided_total", "counter", "Cases left to aws-lc-rs by the engine", checks.undecided),
        ("countersign_es256_checked_total", "counter", "Verdicts checked by aws-lc-rs", checks.sampled),
        ("countersign_es256_disagreements_total", "counter", "Verdicts that were wrong", checks.disagreements),
    ] {
        text.family(name, kind, help);
        text.sample(name, "", value);
    }
    text.family("countersign_es256_tables", "gauge", "Tables of clients' and issuers' keys");
    text.sample("countersign_es256_tables", "{tier=\"small\"}", counts.small_tables);
    text.sample("countersign_es256_tables", "{tier=\"hot\"}", counts.hot_tables);
    text.family("countersign_es256_engine", "gauge", "1 for who verifies by tables now");
    for engine in Engine::ALL {
        let labels = format!("{{engine=\"{engine}\"}}");
        text.sample("countersign_es256_engine", &labels, u8::from(engine == counts.engine));
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use countersign_dpop::jose::{Algorithm, PublicJwk, SoftwareKey};
    use countersign_resource::es256::{PublicKey, Sampling};

    use super::*;

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn an_engine_that_lies_is_switched_off_logged_and_counted() {
        let always = Sampling { accepted: 1, refused: 1 };
        let verifier = Verifier::lying(Engine::Portable).with_sampling(always).on_disagreement(report);
        let signer = SoftwareKey::generate(Algorithm::Es256).unwrap();
        let PublicJwk::P256 { x, y } = signer.public_jwk() else { panic!("not P-256") };
        let key = verifier.prepare(&PublicKey::from_coordinates(x, y).unwrap());
        let signature = signer.sign_now(b"message").unwrap();
        let log = Shared::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
        tracing::subscriber::with_default(subscriber, || {
            for _ in 0..3 {
                assert!(verifier.verify(&key, b"message", &signature).is_accepted(), "the library's verdict is given");
            }
        });
        let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        assert_eq!(log.matches("ERROR").count(), 1, "{log}");
        for part in ["an ES256 engine was wrong", "engine=portable", "refused what aws-lc-rs accepts", "key 04"] {
            assert!(log.contains(part), "{part}: {log}");
        }
        let mut text = Text::default();
        render(&KeyCache::new(1 << 20, verifier).counts(), &mut text);
        let text = text.into_string();
        for line in [
            "countersign_key_cache_limit_bytes 1048576\n",
            "countersign_es256_engine{engine=\"library\"} 1\n",
            "countersign_es256_engine{engine=\"portable\"} 0\n",
            "countersign_es256_tables{tier=\"small\"} 0\n",
            "countersign_es256_checked_total 1\n",
            "countersign_es256_disagreements_total 1\n",
        ] {
            assert!(text.contains(line), "{line}{text}");
        }
    }

    #[test]
    fn is_opened_as_the_settings_say() {
        let settings = KeySettings { cache: 5_000, engine: Engine::Portable, ..KeySettings::default() };
        let counts = open(&settings).counts();
        assert_eq!((counts.limit, counts.engine), (5_000, Engine::Portable));
        let counts = open(&KeySettings { cache: 0, ..settings }).counts();
        assert_eq!((counts.limit, counts.engine), (0, Engine::Library), "no tables");
    }
}
