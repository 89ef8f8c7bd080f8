//! Hosts the function `clock` on Lambda.

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    let platform = convoke_runtime::start().await?;
    lambda_runtime::run(convoke_clock::service(platform)).await
}
