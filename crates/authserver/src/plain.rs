//! How values stand in entries: dates as seconds, thumbprints as their text.

use countersign_dpop::jose::Jkt;
use countersign_dpop::time::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub(crate) mod date {
    use super::{Deserialize, Deserializer, Serializer, Timestamp};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
    pub(crate) fn serialize<S: Serializer>(date: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(date.seconds())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        i64::deserialize(deserializer).map(Timestamp::from_seconds)
    }
}

pub(crate) mod optional_jkt {
    use super::{D_JKT, Deserialize, Deserializer, Jkt, Serialize, Serializer};
    use serde::de::Error as _;

    #[expect(clippy::ref_option, reason = "serde's signature")]
    pub(crate) fn serialize<S: Serializer>(jkt: &Option<Jkt>, serializer: S) -> Result<S::Ok, S::Error> {
        jkt.as_ref().map(ToString::to_string).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Jkt>, D::Error> {
        let text: Option<String> = Option::deserialize(deserializer)?;
        text.map(|text| text.parse().map_err(|_| D::Error::custom(D_JKT))).transpose()
    }
}

const D_JKT: &str = "not a thumbprint";
