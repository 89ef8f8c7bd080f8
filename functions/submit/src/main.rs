//! Hosts the function `submit` on Lambda.

use convoke_runtime::ModelUse;

#[tokio::main]
async fn main() -> Result<(), lambda_http::Error> {
    let platform = convoke_runtime::start(ModelUse::Names).await?;
    lambda_http::run(convoke_submit::router(platform)).await
}
