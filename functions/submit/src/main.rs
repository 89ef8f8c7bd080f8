//! Hosts the function `submit` on Lambda.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let platform = convoke_runtime::start_planning()?;
    lambda_http::run(convoke_runtime::telemetry::flushed(convoke_submit::router(platform))).await
}
