//! Money on the wire: dollars as text, never as a float.

use convoke_domain::money::Cost;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Money and tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Amount {
    /// US dollars, e.g. `"0.0042"`.
    #[schema(pattern = r"^\d{1,7}(\.\d{1,6})?$")]
    pub usd: String,
    /// Tokens, in and out.
    pub tokens: u64,
}

impl From<Cost> for Amount {
    fn from(cost: Cost) -> Self {
        Self { usd: cost.usd.to_string(), tokens: cost.tokens }
    }
}
