//! Hosts Telegram's webhook on Lambda.

use convoke_runtime::{secrets, start_planning_with, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let (platform, settings) = start_planning_with(&secrets::OF_TELEGRAM).await?;
    lambda_http::run(telemetry::flushed(convoke_telegram::router(platform, &settings)?)).await
}
