//! Hosts the function `submit` on Lambda.

#[tokio::main]
async fn main() -> Result<(), lambda_http::Error> {
    let platform = convoke_runtime::start().await?;
    lambda_http::run(convoke_submit::router(platform)).await
}
