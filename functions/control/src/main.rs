//! Hosts the function `control` on Lambda.

#[tokio::main]
async fn main() -> Result<(), lambda_http::Error> {
    let platform = convoke_runtime::start().await?;
    lambda_http::run(convoke_control::router(platform)).await
}
