//! What a URL itself shows of where it leads.

use std::net::IpAddr;

use convoke_app::ports::UrlRefused;
use reqwest::Url;
use reqwest::header::HeaderValue;

use super::address::is_public;

/// Longest URL, in bytes.
pub const URL_BYTES_MAX: usize = 2_048;

/// Names that lead to the machine itself or into its network, whatever the resolver says (RFC 6761, RFC 6762, RFC 8375,
/// RFC 9476, and `internal`, reserved by ICANN in 2024; the metadata of Google Cloud ends so).
const PRIVATE_NAMES: [&str; 6] = ["localhost", "local", "internal", "home.arpa", "alt", "onion"];

/// A host and port that may be sent to although the guard would refuse: an operator said so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowed {
    /// As a URL has it: lower case, IPv6 in brackets.
    host: String,
    port: u16,
}

impl std::str::FromStr for Allowed {
    type Err = ();

    /// Takes `host:port`, `1.2.3.4:port`, `[::1]:port`.
    fn from_str(text: &str) -> Result<Self, ()> {
        let (host, port) = text.trim().rsplit_once(':').ok_or(())?;
        let port = port.parse().map_err(|_| ())?;
        let url = Url::parse(&format!("http://{host}:{port}/")).map_err(|_| ())?;
        let is_plain = url.username().is_empty() && url.path() == "/" && port != 0;
        match url.host_str() {
            Some(host) if is_plain => Ok(Self { host: host.to_owned(), port }),
            _ => Err(()),
        }
    }
}

/// Where a URL leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// To a place that an operator allowed.
    Allowed(Url),
    /// To a public address, or to a name that has still to be looked up.
    Public(Url),
}

/// Looks at a URL. Written forms of addresses (`2130706433`, `0x7f.1`, `[::ffff:127.0.0.1]`) are what they stand for.
pub(super) fn place(text: &str, allowed: &[Allowed]) -> Result<Place, UrlRefused> {
    let refused = |message: &str, hint| Err(UrlRefused { message: message.to_owned(), hint });
    if text.len() > URL_BYTES_MAX {
        return refused("is too long", "at most 2048 bytes");
    }
    let Ok(url) = Url::parse(text) else { return refused("is no URL", "https://host/path") };
    if !matches!(url.scheme(), "https" | "http") {
        return refused("isn't an https URL", "https://host/path");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return refused("holds a user name or a password", "messages are signed; leave them out");
    }
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
        return refused("names no host", "https://host/path");
    };
    if HeaderValue::from_str(url.as_str()).is_err() {
        return refused("is no URL", "https://host/path");
    }
    if allowed.iter().any(|place| place.host == host && place.port == port) {
        return Ok(Place::Allowed(url));
    }
    if url.scheme() != "https" {
        return refused("isn't an https URL", "https://host/path");
    }
    if port == 0 {
        return refused("names port 0", "https://host/path");
    }
    match address_of(host) {
        Some(address) if !is_public(address) => refused("leads to an address that isn't public", "a public host"),
        None if is_private_name(host) => refused("leads to a host that isn't public", "a public host"),
        _ => Ok(Place::Public(url)),
    }
}

/// The address that a host is written as, if it is one.
fn address_of(host: &str) -> Option<IpAddr> {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    bare.parse().ok()
}

fn is_private_name(host: &str) -> bool {
    let host = host.trim_end_matches('.');
    let ends = |name: &str| host.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    !host.contains('.') || PRIVATE_NAMES.iter().any(|name| ends(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        place(text, &[]).err().map(|refused| refused.message).unwrap_or_default()
    }

    #[test]
    fn public_places_are_fine() {
        for good in [
            "https://example.com",
            "https://example.com:8443/hooks?token=a%20b#f",
            "HTTPS://Example.COM/",
            "https://1.1.1.1/x",
            "https://[2606:4700:4700::1111]:8443/",
            "https://bücher.example/",
            "https://localhost.example.com/",
        ] {
            assert!(matches!(place(good, &[]), Ok(Place::Public(_))), "{good}: {}", refused(good));
        }
    }

    #[test]
    fn private_addresses_are_found_however_they_are_written() {
        for bad in [
            "https://127.0.0.1/",
            "https://127.1/",
            "https://2130706433/",
            "https://0x7f000001/",
            "https://0x7f.0.0.1/",
            "https://0177.0.0.1/",
            "https://017700000001/",
            "https://0/",
            "https://169.254.169.254/latest/meta-data/",
            "https://2852039166/",
            "https://[::1]/",
            "https://[::]/",
            "https://[::ffff:169.254.169.254]/",
            "https://[::ffff:a9fe:a9fe]/",
            "https://[64:ff9b::a9fe:a9fe]/",
            "https://[2002:7f00:1::]/",
            "https://[fd00:ec2::254]/",
            "https://１２７.０.０.１/",
            "https://127。0。0。1/",
            "https://192.168.0.1:8443/",
        ] {
            assert_eq!(refused(bad), "leads to an address that isn't public", "{bad}");
        }
        for bad in [
            "https://localhost/",
            "https://LOCALHOST./",
            "https://a.localhost/",
            "https://metadata.google.internal/",
            "https://printer.local/",
            "https://router.home.arpa/",
            "https://intranet/",
        ] {
            assert_eq!(refused(bad), "leads to a host that isn't public", "{bad}");
        }
    }

    #[test]
    fn other_schemes_and_credentials_are_refused() {
        for (bad, message) in [
            ("http://example.com/", "isn't an https URL"),
            ("http://2130706433/", "isn't an https URL"),
            ("ftp://example.com/", "isn't an https URL"),
            ("file:///etc/passwd", "isn't an https URL"),
            ("javascript:alert(1)", "isn't an https URL"),
            ("https://user@example.com/", "holds a user name or a password"),
            ("https://user:pw@example.com/", "holds a user name or a password"),
            ("https://:pw@example.com/", "holds a user name or a password"),
            ("https://example.com:0/", "names port 0"),
            ("https://example.com:70000/", "is no URL"),
            ("https://", "is no URL"),
            ("example.com/hooks", "is no URL"),
            ("", "is no URL"),
            ("https://exa mple.com/", "is no URL"),
        ] {
            assert_eq!(refused(bad), message, "{bad}");
        }
        assert_eq!(refused(&format!("https://example.com/{}", "a".repeat(URL_BYTES_MAX))), "is too long");
    }

    #[test]
    fn an_operator_may_allow_places_one_by_one() {
        let allowed: Vec<Allowed> =
            ["127.0.0.1:9000", "[::1]:9001", "Hooks.internal:80"].map(|text| text.parse().expect(text)).into();
        for good in
            ["http://127.0.0.1:9000/x", "https://2130706433:9000/", "http://[::1]:9001/", "http://hooks.internal/"]
        {
            assert!(matches!(place(good, &allowed), Ok(Place::Allowed(_))), "{good}");
        }
        for bad in [
            "http://127.0.0.1:9001/",
            "https://127.0.0.1/",
            "http://127.0.0.2:9000/",
            "http://u@127.0.0.1:9000/",
            "https://hooks.internal/",
            "http://a.hooks.internal/",
        ] {
            assert!(place(bad, &allowed).is_err(), "{bad}");
        }
        for bad in ["", "127.0.0.1", "127.0.0.1:0", "a b:1", "host:port", "u@host:1", "host/x:1", ":9000"] {
            assert!(bad.parse::<Allowed>().is_err(), "{bad}");
        }
    }
}
