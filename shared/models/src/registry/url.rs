//! URLs of providers out of what people write.

use std::net::IpAddr;

use reqwest::Url;

/// The URL of chat completions under a base URL. `/v1` is added where there is no path.
pub(super) fn chat_completions(base: &str) -> Result<String, &'static str> {
    let mut url = parsed(base)?;
    let path = url.path().trim_end_matches('/');
    let path = path.strip_suffix("/chat/completions").unwrap_or(path);
    let path = if path.is_empty() { "/v1" } else { path };
    let path = format!("{path}/chat/completions");
    url.set_path(&path);
    Ok(url.into())
}

/// The URL of chat completions of an Azure deployment.
pub(super) fn azure(endpoint: &str, deployment: &str, version: &str) -> Result<String, &'static str> {
    let mut url = parsed(endpoint)?;
    url.path_segments_mut().map_err(|()| "it can't have a path")?.pop_if_empty().extend([
        "openai",
        "deployments",
        deployment,
        "chat",
        "completions",
    ]);
    url.query_pairs_mut().append_pair("api-version", version);
    Ok(url.into())
}

/// Whether a URL is on this machine.
pub(super) fn is_loopback(url: &str) -> bool {
    let Some(host) = Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned)) else { return false };
    let ip: Option<IpAddr> = host.trim_matches(['[', ']']).parse().ok();
    host == "localhost" || ip.is_some_and(|ip| ip.is_loopback())
}

fn parsed(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text.trim()).map_err(|_| "such as http://127.0.0.1:8000/v1")?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err("with http or https");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("without a user or a password: the key has a setting of its own");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("without ? and #");
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bases_are_read_as_people_write_them() {
        for (base, url) in [
            ("http://127.0.0.1:8000", "http://127.0.0.1:8000/v1/chat/completions"),
            ("http://h:1/v1/", "http://h:1/v1/chat/completions"),
            ("https://h/api/v1/chat/completions", "https://h/api/v1/chat/completions"),
            (" https://h/openai ", "https://h/openai/chat/completions"),
        ] {
            assert_eq!(chat_completions(base).as_deref(), Ok(url));
        }
        for bad in ["", "localhost:8000", "ftp://h", "http://u:p@h", "http://h/?key=1", "/v1"] {
            assert!(chat_completions(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_azure_deployment_stays_in_its_segment() {
        assert_eq!(
            azure("https://x.openai.azure.com/", "a/../b?c", "2024-10-21").as_deref(),
            Ok("https://x.openai.azure.com/openai/deployments/a%2F..%2Fb%3Fc/chat/completions?api-version=2024-10-21")
        );
    }

    #[test]
    fn loopback_is_this_machine_alone() {
        for (url, local) in [
            ("http://127.0.0.1:1/x", true),
            ("http://localhost/x", true),
            ("http://[::1]:2/x", true),
            ("http://10.0.0.1/x", false),
            ("https://localhost.example.com/x", false),
        ] {
            assert_eq!(is_loopback(url), local, "{url}");
        }
    }
}
