//! The list prices: `tests/prices/aws.toml`.

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
    /// Units that cost nothing, each month and for as long as there is an account.
    #[serde(default)]
    free: f64,
}

/// What isn't counted.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Assumed {
    /// Memory of every function that works on jobs.
    pub memory_mb: f64,
    /// How long the model answers.
    pub call_seconds: f64,
    /// Bytes of an answer.
    pub answer_bytes: usize,
    /// How long a function waits for the table.
    pub table_ms: f64,
    /// For a queue.
    pub queue_ms: f64,
    /// For an object.
    pub object_ms: f64,
    /// Lines that Lambda itself logs per invocation.
    pub platform_lines: f64,
    /// Their bytes.
    pub platform_bytes: f64,
    /// What is added to each line.
    pub line_bytes: f64,
    /// Processes of Lambda that wait for a queue's messages, of a mapping that says how many it may be at most.
    pub pollers: f64,
    /// How long each waits, in seconds.
    pub poll_seconds: f64,
    /// Jobs of before that are still kept.
    pub kept_jobs: f64,
    /// Bytes that each has in the table.
    pub kept_table_bytes: f64,
    /// Bytes that each has in objects.
    pub kept_object_bytes: f64,
}

/// Prices and assumptions.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prices {
    region: String,
    price: Vec<Price>,
    /// What isn't counted.
    pub assumed: Assumed,
}

impl Prices {
    /// Reads the file.
    pub fn read() -> Self {
        let prices: Self = toml::from_str(FILE).expect("the price file is well formed");
        let is_sourced = |price: &Price| price.page.contains("https://aws.amazon.com/") && !price.seen.is_empty();
        assert!(prices.price.iter().all(is_sourced), "every price names its source");
        prices
    }

    /// Where these are the prices.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// What so much of something costs, without a free tier.
    pub fn of(&self, id: &str, amount: f64) -> f64 {
        let price = self.price(id);
        amount * price.usd / price.per
    }

    /// How much of it is free each month.
    pub fn free(&self, id: &str) -> f64 {
        self.price(id).free
    }

    fn price(&self, id: &str) -> &Price {
        let price = self.price.iter().find(|price| price.id == id);
        let price = price.unwrap_or_else(|| panic!("no price of {id}"));
        assert!(!price.unit.is_empty());
        price
    }
}
