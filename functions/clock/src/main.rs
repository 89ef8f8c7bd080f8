//! Hosts the function `clock` on Lambda.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let platform = convoke_runtime::start_planning()?;
    lambda_runtime::run(convoke_runtime::telemetry::flushed(convoke_clock::service(platform))).await
}
