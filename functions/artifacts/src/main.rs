//! Hosts the function `artifacts` on Lambda.

#[tokio::main]
async fn main() -> Result<(), lambda_http::Error> {
    let platform = convoke_runtime::start().await?;
    lambda_http::run(convoke_artifacts::router(platform)).await
}
