//! HTTP clients.

use std::time::Duration;

use reqwest::{Client, ClientBuilder, redirect};

/// What our clients have in common: they go where they are sent and nowhere else, so that no redirect is followed, no
/// proxy of the environment used, and nobody told where they come from.
///
/// A request takes `connect` at most to connect and `total` in all, unless it says something else itself.
pub fn http_client(connect: Duration, total: Duration) -> ClientBuilder {
    Client::builder()
        .redirect(redirect::Policy::none())
        .no_proxy()
        .connect_timeout(connect)
        .timeout(total)
        .referer(false)
        .user_agent(concat!("convoke/", env!("CARGO_PKG_VERSION")))
}
