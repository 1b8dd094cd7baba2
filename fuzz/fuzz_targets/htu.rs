//! A target URI: the normal form is stable, and equal means no difference. Input: two URIs with a line end between.
#![no_main]

use countersign_dpop::{Htu, PublicOrigin};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (one, other) = text.split_once('\n').unwrap_or((text, text));
    if let Ok(htu) = Htu::parse(one) {
        assert_eq!(Htu::parse(htu.as_str()).as_ref(), Ok(&htu));
        assert!(htu.as_str().is_ascii());
        assert!(!htu.as_str().contains(['?', '#', '\\', ' ']));
        let mut segments = htu.as_str().split('/').skip(3);
        assert!(!segments.any(|segment| segment == "." || segment == ".."));
        if let Ok(other) = Htu::parse(other) {
            assert_eq!(htu == other, htu.difference(&other).is_none());
            assert_eq!(htu.difference(&other), other.difference(&htu));
        }
        assert_eq!(htu.is_named_by(other), Htu::parse(other).map(|other| other == htu));
    }
    if let Ok(origin) = PublicOrigin::parse(one) {
        assert!(origin.is_authority(origin.authority()));
        assert!(!origin.as_str().ends_with('/'));
        assert_eq!(PublicOrigin::parse(origin.as_str()).as_ref(), Ok(&origin));
        if let Ok(htu) = origin.htu(other) {
            assert!(htu.as_str().starts_with(origin.as_str()));
            assert_eq!(Htu::parse(htu.as_str()), Ok(htu));
        }
        let _ = origin.is_authority(other);
    }
});
