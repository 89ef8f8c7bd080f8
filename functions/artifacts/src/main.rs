//! Hosts the function `artifacts` on Lambda.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let platform = convoke_runtime::start_looking()?;
    lambda_http::run(convoke_artifacts::router(platform)).await
}
