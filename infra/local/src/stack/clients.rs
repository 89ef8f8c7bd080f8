//! SDK clients of the stack. Besides endpoint, keys and connector everything is the SDK's default, as on Lambda, but for
//! two things: who polls queues on AWS isn't our code, and the SDK looks ten times a second whether an open poll moves;
//! and where no request leaves the process, table and queues get it unsigned, since neither looks at a signature.

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

/// Where the requests say that they go.
pub(super) struct Endpoints {
    /// Of table and queues; nothing where they are in this process.
    pub sockets: Option<(String, String)>,
    /// Of the objects. A connector in the process doesn't look at it; a signature covers it.
    pub blobs: String,
}

pub(super) fn connect(keys: &Keys, endpoints: Endpoints, http_client: impl Fn(Service) -> SharedHttpClient) -> Clients {
    let credentials = Credentials::new(&keys.access, &keys.secret, None, None, "convoke");
    let mut dynamodb = aws_sdk_dynamodb::Config::builder()
        .behavior_version_latest()
        .region(aws_sdk_dynamodb::config::Region::from_static(REGION))
        .http_client(http_client(Service::Table));
    let mut sqs = aws_sdk_sqs::Config::builder()
        .behavior_version_latest()
        .region(aws_sdk_sqs::config::Region::from_static(REGION))
        .http_client(http_client(Service::Queues))
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    if let Some((table, queues)) = endpoints.sockets {
        dynamodb = dynamodb.endpoint_url(table).credentials_provider(credentials.clone());
        sqs = sqs.endpoint_url(queues).credentials_provider(credentials.clone());
    } else {
        dynamodb = dynamodb.endpoint_url("http://table.invalid").allow_no_auth();
        sqs = sqs.endpoint_url("http://queues.invalid").allow_no_auth();
    }
    let s3 = aws_sdk_s3::Config::builder()
        .behavior_version_latest()
        .region(aws_sdk_s3::config::Region::from_static(REGION))
        .credentials_provider(credentials)
        .endpoint_url(endpoints.blobs)
        .force_path_style(true)
        .http_client(http_client(Service::Blobs))
        .build();
    Clients {
        dynamodb: aws_sdk_dynamodb::Client::from_conf(dynamodb.build()),
        sqs: aws_sdk_sqs::Client::from_conf(sqs.build()),
        s3: aws_sdk_s3::Client::from_conf(s3),
    }
}
