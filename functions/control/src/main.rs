//! Hosts the function `control` on Lambda.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let platform = convoke_runtime::start_planning()?;
    lambda_http::run(convoke_runtime::telemetry::flushed(convoke_control::router(platform))).await
}
