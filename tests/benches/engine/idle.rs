//! What an installation costs at rest: `just bench idle`.

use convoke_tests::idle::{Line, month, sums};
use convoke_tests::prices::Prices;
use convoke_tests::template::Template;
use convoke_tests::workload::log::Log;
use convoke_tests::workload::plant::Plant;

use crate::table::Table;

/// Parameters that cost something at rest, and the conditions that each makes hold.
const CHOICES: [(&str, &[&str]); 2] =
    [("AlarmTopicArn", &["HasAlarms", "HasMetricAlarms"]), ("Dashboard", &["HasDashboard"])];

/// Prints the bill of a month at rest, and what parameters add to it.
pub async fn print() {
    let (template, prices, log) = (Template::read(), Prices::read(), Log::start());
    let mut plant = Plant::start(convoke_app::platform::Limits::default(), 1).await;
    plant.tick(&log).await;
    let tick = plant.tick(&log).await;
    println!("a tick: {tick:?}");
    let usual = month(&template, &prices, tick, &[]);
    let mut table = Table::new("A month at rest", &["what", "how much", "dollars", "dollars with the free tier"]);
    for line in &usual {
        table.row(&cells(line));
    }
    let (usd, after_free) = sums(&usual);
    table.row(&["**sum**".to_owned(), String::new(), format!("**{usd:.2}**"), format!("**{after_free:.2}**")]);
    table.print();
    let mut more = Table::new("What parameters add", &["parameter", "dollars", "dollars with the free tier"]);
    for (parameter, conditions) in CHOICES {
        let (with, with_free) = sums(&month(&template, &prices, tick, conditions));
        more.row(&[parameter.to_owned(), format!("{:.2}", with - usd), format!("{:.2}", with_free - after_free)]);
    }
    more.row(&["KmsKeyArn".to_owned(), format!("{:.2}", prices.of("key-month", 1.0)), String::from("as much")]);
    more.print();
}

fn cells(Line { what, amount, usd, usd_after_free }: &Line) -> [String; 4] {
    let amount = if amount.fract() == 0.0 { format!("{amount}") } else { format!("{amount:.3}") };
    [what.clone(), amount, format!("{usd:.4}"), format!("{usd_after_free:.4}")]
}
