//! Random texts: names and secrets.

use aws_lc_rs::rand;
use countersign_dpop::NoRandomness;
use countersign_dpop::jose::encode_base64url;
use zeroize::Zeroizing;

/// 128 random bits, for a name.
pub(crate) fn random_id() -> Result<String, NoRandomness> {
    let mut bytes = [0; 16];
    rand::fill(&mut bytes).map_err(|_| NoRandomness)?;
    Ok(encode_base64url(bytes))
}

/// 256 random bits, for a secret.
pub(crate) fn random_secret() -> Result<Zeroizing<String>, NoRandomness> {
    let mut bytes = Zeroizing::new([0; 32]);
    rand::fill(&mut bytes[..]).map_err(|_| NoRandomness)?;
    Ok(Zeroizing::new(encode_base64url(&bytes[..])))
}
