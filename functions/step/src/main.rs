//! Hosts the function `step` on Lambda.

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    let platform = convoke_runtime::start_working().await?;
    lambda_runtime::run(convoke_runtime::telemetry::flushed(convoke_step::service(platform))).await
}
