use std::sync::Arc;

use super::Proof;
use crate::jose::{Algorithm, Algorithms, JwsBuffer, SoftwareKey};
use crate::make::{ProofMaker, ProofRequest};
use crate::time::Timestamp;

const NOW: Timestamp = Timestamp::from_seconds(1_700_000_000);
const REQUEST: ProofRequest<'_> =
    ProofRequest { method: "GET", url: "https://rs.example/a/b?c=d", token: Some("token"), nonce: Some("nonce") };

#[test]
fn takes_what_the_maker_makes_with_every_algorithm() {
    let accepted = Algorithms::all();
    for &algorithm in Algorithm::ALL {
        let maker = ProofMaker::new(Arc::new(SoftwareKey::generate(algorithm).unwrap()));
        let text = maker.make_now(&REQUEST, NOW).unwrap();
        let mut buffer = JwsBuffer::new();
        let proof = Proof::parse(&text, &mut buffer, &accepted).unwrap();
        assert_eq!((proof.algorithm(), proof.jkt()), (algorithm, maker.jkt()));
        assert_eq!((&*proof.claims.htm, &*proof.claims.htu), ("GET", "https://rs.example/a/b"));
        let (message, signature) = (proof.jws.signing_input(), proof.jws.signature());
        assert_eq!(accepted.verify(algorithm, proof.key(), message, signature), Ok(()), "{algorithm}");
        assert!(accepted.verify(algorithm, proof.key(), b"another", signature).is_err());
    }
}
