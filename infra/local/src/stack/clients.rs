//! SDK clients of the stack. Besides endpoint, keys and connector everything is the SDK's default, as on Lambda, but for
//! one thing: who polls queues on AWS isn't our code, and the SDK looks ten times a second whether an open poll moves.

use aws_credential_types::Credentials;
use aws_sdk_sqs::config::StalledStreamProtectionConfig;
use aws_smithy_runtime_api::client::http::SharedHttpClient;

use super::folder::Keys;

/// The embedded services know no regions; the SDK wants one.
const REGION: &str = "us-east-1";

/// A service of the stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// `DynamoDB`.
    Table,
    /// SQS.
    Queues,
    /// S3.
    Blobs,
}

/// One client per service. Clones are cheap and share their connector.
#[derive(Clone, Debug)]
pub struct Clients {
    /// The table.
    pub dynamodb: aws_sdk_dynamodb::Client,
    /// The queues.
    pub sqs: aws_sdk_sqs::Client,
    /// The objects; path-style.
    pub s3: aws_sdk_s3::Client,
}

/// Where the requests say that they go. A connector in the process doesn't look at it; a signature covers it.
pub(super) struct Endpoints {
    pub table: String,
    pub queues: String,
    pub blobs: String,
}

impl Default for Endpoints {
    fn default() -> Self {
        Self {
            table: "http://table.invalid".to_owned(),
            queues: "http://queues.invalid".to_owned(),
            blobs: "http://blobs.invalid".to_owned(),
        }
    }
}

pub(super) fn connect(keys: &Keys, endpoints: Endpoints, http_client: impl Fn(Service) -> SharedHttpClient) -> Clients {
    let credentials = Credentials::new(&keys.access, &keys.secret, None, None, "convoke");
    let dynamodb = aws_sdk_dynamodb::Config::builder()
        .behavior_version_latest()
        .region(aws_sdk_dynamodb::config::Region::from_static(REGION))
        .credentials_provider(credentials.clone())
        .endpoint_url(endpoints.table)
        .http_client(http_client(Service::Table))
        .build();
    let sqs = aws_sdk_sqs::Config::builder()
        .behavior_version_latest()
        .region(aws_sdk_sqs::config::Region::from_static(REGION))
        .credentials_provider(credentials.clone())
        .endpoint_url(endpoints.queues)
        .http_client(http_client(Service::Queues))
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .build();
    let s3 = aws_sdk_s3::Config::builder()
        .behavior_version_latest()
        .region(aws_sdk_s3::config::Region::from_static(REGION))
        .credentials_provider(credentials)
        .endpoint_url(endpoints.blobs)
        .force_path_style(true)
        .http_client(http_client(Service::Blobs))
        .build();
    Clients {
        dynamodb: aws_sdk_dynamodb::Client::from_conf(dynamodb),
        sqs: aws_sdk_sqs::Client::from_conf(sqs),
        s3: aws_sdk_s3::Client::from_conf(s3),
    }
}
