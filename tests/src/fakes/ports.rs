//! All ports at once.

use std::sync::Arc;

use convoke_app::model::Models;
use convoke_app::platform::Ports;
use convoke_app::ports::ChatHosts;

use super::{FakeBlobs, FakeEnv, FakeOutbound, FakeQueue, Faults};
use crate::contracts::Table;

/// Ports over a table and a queue by a clock. Objects and the outside work without faults, and nobody is spoken to in chats;
/// who wants that otherwise puts it over these.
pub fn ports(table: &impl Table, queue: &FakeQueue, models: impl Models + 'static, env: &FakeEnv) -> Ports {
    let table = Arc::new(table.clone());
    Ports {
        groups: Arc::clone(&table) as _,
        steps: Arc::clone(&table) as _,
        jobs: Arc::clone(&table) as _,
        sweeps: Arc::clone(&table) as _,
        keys: Arc::clone(&table) as _,
        schedules: Arc::clone(&table) as _,
        events: Arc::clone(&table) as _,
        webhooks: Arc::clone(&table) as _,
        reviews: Arc::clone(&table) as _,
        deliveries: Arc::clone(&table) as _,
        links: Arc::clone(&table) as _,
        inbox: Arc::clone(&table) as _,
        rooms: table,
        bells: Arc::new(queue.clone()),
        delivery_bells: Arc::new(queue.clone()),
        outbound: Arc::new(FakeOutbound::default()),
        chat_hosts: ChatHosts::default(),
        blobs: Arc::new(FakeBlobs::new(env.clone(), Faults::default())),
        models: Arc::new(models),
        env: Arc::new(env.clone()),
    }
}
