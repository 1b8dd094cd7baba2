//! Flags for verifying ES256 signatures by tables of keys.

use bytesize::ByteSize;
use clap::Args;
use countersign_gateway::GatewayConfig;
use countersign_resource::es256::Engine;

/// Who verifies.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct EngineFlag {
    /// Who verifies ES256 signatures by tables of keys: library, portable, ifma [default: the fastest of this machine]
    #[arg(long, value_name = "ENGINE", env = "COUNTERSIGN_ES256_ENGINE", value_parser = usable)]
    es256_engine: Option<Engine>,
}

/// Who verifies, and what the tables may take.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct KeyFlags {
    /// Memory for what is known of clients' keys and for tables of them, like 256MB; 0 for none [default: 256MB]
    #[arg(long, value_name = "SIZE", env = "COUNTERSIGN_KEY_CACHE")]
    key_cache: Option<ByteSize>,
    #[command(flatten)]
    engine: EngineFlag,
}

impl EngineFlag {
    /// What a gateway is to be told.
    pub(crate) fn said(&self) -> GatewayConfig {
        let es256_engine = self.es256_engine.map(|engine| engine.name().to_owned());
        GatewayConfig { es256_engine, ..GatewayConfig::default() }
    }
}

impl KeyFlags {
    /// What a gateway is to be told.
    pub(crate) fn said(&self) -> GatewayConfig {
        GatewayConfig { key_cache: self.key_cache, ..self.engine.said() }
    }
}

/// Reads the value of the flag. What is wrong names the variable too: who set it need not know the flag.
pub(crate) fn usable(name: &str) -> Result<Engine, String> {
    Engine::usable(name).map_err(|fault| format!("{fault} (--es256-engine, COUNTERSIGN_ES256_ENGINE)"))
}
