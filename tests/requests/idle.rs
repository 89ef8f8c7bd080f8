//! What nothing costs: the goal is two dollars a month at list prices, the free tier left out.

use convoke_app::platform::Limits;
use convoke_tests::idle::{month, sums};
use convoke_tests::prices::Prices;
use convoke_tests::template::Template;
use convoke_tests::workload::log::Log;
use convoke_tests::workload::plant::Plant;

const USD_MAX: f64 = 2.0;
/// Shards of due jobs and deliveries, and the one of schedules.
const QUERIES: f64 = 21.0;

#[tokio::test]
async fn a_month_at_rest_costs_at_most_two_dollars() {
    let (template, prices) = (Template::read(), Prices::read());
    let mut plant = Plant::start(Limits::default(), super::ANSWER_BYTES).await;
    let tick = plant.tick(&Log::default()).await;
    assert_eq!((tick.table, tick.queue), (QUERIES, 1.0), "what a tick asks for where nothing is due");
    let lines = month(&template, &prices, tick, &[]);
    let (usd, after_free) = sums(&lines);
    assert!(usd <= USD_MAX && after_free < usd, "{usd:.2}, {after_free:.2}: {lines:#?}");
    assert!(usd > 0.5, "polling and the clock are in it: {usd:.2}");
    let watched = month(&template, &prices, tick, &["HasAlarms", "HasMetricAlarms", "HasDashboard"]);
    let (_, after_free) = sums(&watched);
    assert!(after_free <= USD_MAX, "with alarms and dashboard, where an account has no others: {after_free:.2}");
}
