//! Hosts the interactions endpoint on Lambda.

use std::sync::Arc;

use convoke_desk::Desk;
use convoke_discord::settings::Settings;
use convoke_discord::{attachments, router};
use convoke_runtime::{secrets, start_planning_with, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let (platform, strings) = start_planning_with(&secrets::OF_DISCORD).await?;
    let settings = Settings::read(&strings)?;
    let desk = Arc::new(Desk::new(platform.clone(), attachments(&settings)?));
    lambda_http::run(telemetry::flushed(router(platform, desk, &settings)?)).await
}
