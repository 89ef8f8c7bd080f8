//! The list prices: `tests/benches/prices/aws.toml`.

use serde::Deserialize;

const FILE: &str = include_str!("../prices/aws.toml");

/// One price.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Price {
    id: String,
    usd: f64,
    per: f64,
    unit: String,
    page: String,
    seen: String,
}

/// What isn't counted.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Assumed {
    pub memory_mb: f64,
    pub call_seconds: f64,
    pub answer_bytes: usize,
    pub table_ms: f64,
    pub queue_ms: f64,
    pub object_ms: f64,
    pub platform_lines: f64,
    pub platform_bytes: f64,
    pub line_bytes: f64,
}

/// Prices and assumptions.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prices {
    region: String,
    price: Vec<Price>,
    pub assumed: Assumed,
}

impl Prices {
    pub fn read() -> Self {
        let prices: Self = toml::from_str(FILE).expect("the price file is well formed");
        let is_sourced = |price: &Price| price.page.contains("https://aws.amazon.com/") && !price.seen.is_empty();
        assert!(prices.price.iter().all(is_sourced), "every price names its source");
        prices
    }

    pub fn region(&self) -> &str {
        &self.region
    }

    /// What so much of something costs.
    pub fn of(&self, id: &str, amount: f64) -> f64 {
        let price = self.price.iter().find(|price| price.id == id);
        let price = price.unwrap_or_else(|| panic!("no price of {id}"));
        assert!(!price.unit.is_empty());
        amount * price.usd / price.per
    }
}
