//! Hosts the function `deliver` on Lambda.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let platform = convoke_runtime::start_looking()?;
    lambda_runtime::run(convoke_runtime::telemetry::flushed(convoke_deliver::service(platform))).await
}
