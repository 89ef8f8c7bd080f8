//! Hosts the function `step` on Lambda.

use convoke_runtime::ModelUse;

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    let platform = convoke_runtime::start(ModelUse::Calls).await?;
    lambda_runtime::run(convoke_step::service(platform)).await
}
