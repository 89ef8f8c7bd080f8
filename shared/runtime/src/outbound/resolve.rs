//! Looking up names for whoever connects just then: what isn't public isn't given out.

use std::io;
use std::net::SocketAddr;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::address::is_public;

/// A name that leads nowhere public.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the host leads to an address that isn't public")]
pub(super) struct NotPublic;

/// The system's resolver with what isn't public left out. Who connects goes to the addresses that were judged here.
#[derive(Clone, Copy, Debug)]
pub(super) struct Judged;

impl Resolve for Judged {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            judge(found)
        })
    }
}

fn judge(found: Vec<SocketAddr>) -> Result<Addrs, Box<dyn std::error::Error + Send + Sync>> {
    if found.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "the host has no address").into());
    }
    let public: Vec<SocketAddr> = found.into_iter().filter(|address| is_public(address.ip())).collect();
    if public.is_empty() { Err(NotPublic.into()) } else { Ok(Box::new(public.into_iter())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(addresses: &[&str]) -> Result<Vec<String>, String> {
        let found = addresses.iter().map(|address| SocketAddr::new(address.parse().expect(address), 0)).collect();
        judge(found).map(|public| public.map(|address| address.ip().to_string()).collect()).map_err(|e| e.to_string())
    }

    #[test]
    fn only_public_addresses_are_given_out() {
        assert_eq!(judged(&["10.0.0.1", "1.1.1.1", "::1"]), Ok(vec!["1.1.1.1".to_owned()]));
        assert_eq!(judged(&["10.0.0.1", "fd00::1"]), Err(NotPublic.to_string()));
        assert!(judged(&[]).is_err());
    }
}
