//! An installation in an AWS account, found by its stack's name, for whoever has the account's credentials.

use serde::Deserialize;

use crate::config::{ProcessEnv, Stores};
use crate::connect::{Clients, aws};
use crate::ssm::{Ssm, SsmError};

/// Where an installation is.
pub struct Installation {
    /// Its HTTP API.
    pub url: String,
    /// Its table, queues and bucket.
    pub stores: Stores,
    /// Clients with the caller's credentials.
    pub clients: Clients,
}

/// Why an installation can't be found. Final until its operator or the caller does something.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// Its whereabouts can't be read.
    #[error("the whereabouts of the stack {stack} can't be read")]
    Unread {
        /// The stack.
        stack: String,
        /// Why.
        #[source]
        source: SsmError,
    },
    /// Its whereabouts say something else than this program knows.
    #[error("the whereabouts of the stack {stack} can't be understood: {detail}")]
    Unknown {
        /// The stack.
        stack: String,
        /// Why.
        detail: String,
    },
}

/// The version of [`Whereabouts`] that this code reads.
const VERSION: u64 = 1;

/// What `template.yaml` writes.
#[derive(Deserialize)]
struct Whereabouts {
    v: u64,
    url: String,
    table: String,
    bucket: String,
    queue_url: String,
    solo_queue_url: String,
    delivery_queue_url: String,
}

/// The parameter of SSM that says where the things of a stack are.
pub fn parameter_of_stack(stack: &str) -> String {
    format!("/convoke/{stack}/whereabouts")
}

/// Finds the installation that a stack is, by the credentials and region of the environment or the profile. Reads only.
pub async fn find(stack: &str) -> Result<Installation, FindError> {
    let unread = |source| FindError::Unread { stack: stack.to_owned(), source };
    let aws = aws().await;
    let ssm = Ssm::new(&aws, &ProcessEnv).map_err(unread)?;
    let text = ssm.value(&parameter_of_stack(stack)).await.map_err(unread)?;
    let (url, stores) = read(&text).map_err(|detail| FindError::Unknown { stack: stack.to_owned(), detail })?;
    Ok(Installation { url, stores, clients: Clients::new(&aws) })
}

fn read(text: &str) -> Result<(String, Stores), String> {
    let Whereabouts { v, url, table, bucket, queue_url, solo_queue_url, delivery_queue_url } =
        serde_json::from_str(text).map_err(|error| error.to_string())?;
    if v != VERSION {
        return Err(format!("they are of version {v}, this program reads {VERSION}"));
    }
    Ok((url, Stores { table, queue_url, solo_queue_url, delivery_queue_url, bucket }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whereabouts_are_read_and_others_are_refused() {
        let text = r#"{"v":1,"url":"u","table":"t","bucket":"b","queue_url":"q","solo_queue_url":"s","delivery_queue_url":"d","more":1}"#;
        let (url, stores) = read(text).expect("whole");
        assert_eq!((url.as_str(), stores.table.as_str(), stores.solo_queue_url.as_str()), ("u", "t", "s"));
        assert!(read(&text.replace("\"v\":1", "\"v\":2")).is_err_and(|detail| detail.contains("version 2")));
        assert!(read(&text.replace("bucket", "pail")).is_err_and(|detail| detail.contains("bucket")));
    }
}
