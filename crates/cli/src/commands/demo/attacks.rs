//! The thief's part: the battery of `countersign-probe` against the running gateway.

use std::sync::Arc;

use countersign_dpop::time::SystemClock;
use countersign_probe::battery::{Attack, AttackRow, Battery, BatteryInput, HttpCarrier, Loot};
use http::Method;

use super::stage::Stage;
use super::story::Story;
use crate::error::CommandError;

/// Plays every attack and tells each as it ends.
pub(super) async fn play(stage: &Stage, story: &mut Story) -> Result<Vec<AttackRow>, CommandError> {
    let honest = stage.honest_session().await?;
    let loot = Loot { token: honest.token.clone(), captured: None };
    let url = format!("{}/orders", stage.gateway);
    let input = BatteryInput::new(Method::GET, url, loot, Arc::new(SystemClock))
        .map_err(CommandError::internal)?
        .with_honest_session(honest)
        .with_foreign_audience(stage.foreign_audience.clone())
        .with_expired_token(stage.expired.clone())
        .with_other_issuer(stage.other_issuer.clone());
    let carrier = HttpCarrier::new().map_err(CommandError::internal)?;
    let battery = Battery::new(&input, &carrier).map_err(CommandError::internal)?;
    story.attacks_begin();
    let mut rows = Vec::with_capacity(Attack::ALL.len());
    for attack in Attack::ALL {
        let row = battery.play(attack).await;
        story.attack(&row);
        rows.push(row);
    }
    Ok(rows)
}
