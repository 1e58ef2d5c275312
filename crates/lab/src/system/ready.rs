//! Waiting until a process is ready.

use std::path::Path;
use std::time::Duration;

use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::{Address, Readiness};
use crate::http;

/// How often a look is taken.
const EVERY: Duration = Duration::from_millis(25);
/// How long one look may take.
const LOOK: Duration = Duration::from_secs(1);

/// Looks until the process is ready and returns its URL, if it has one. What the last look showed is left in
/// `problem`, for the caller whose patience ends.
pub(super) async fn ready(address: &Address, readiness: &Readiness, problem: &mut String) -> Option<String> {
    let url = loop {
        match url_of(address).await {
            Ok(url) => break url,
            Err(why) => *problem = why,
        }
        tokio::time::sleep(EVERY).await;
    };
    let http = http::Client::new(LOOK, 64 * 1024);
    loop {
        let look = look(readiness, url.as_deref(), &http);
        match tokio::time::timeout(LOOK, look).await {
            Ok(Ok(())) => return url,
            Ok(Err(why)) => *problem = why,
            Err(_) => *problem = format!("no answer within {LOOK:?}"),
        }
        tokio::time::sleep(EVERY).await;
    }
}

async fn url_of(address: &Address) -> Result<Option<String>, String> {
    match address {
        Address::None => Ok(None),
        Address::Url(url) => Ok(Some(url.trim_end_matches('/').to_owned())),
        Address::File(path) => read_address(path).await.map(Some),
    }
}

async fn read_address(path: &Path) -> Result<String, String> {
    let text = tokio::fs::read_to_string(path).await;
    let text = text.map_err(|error| format!("no address in {}: {error}", path.display()))?;
    parse_address(text.trim())
        .ok_or_else(|| format!("{}: {text:?} is no HOST:PORT and no URL", path.display()))
}

fn parse_address(text: &str) -> Option<String> {
    let url = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let uri: ::http::Uri = url.parse().ok()?;
    let host = match uri.host()? {
        // Listening on every address, it is reached at this one.
        "0.0.0.0" | "[::]" => "127.0.0.1",
        host => host,
    };
    Some(format!("{}://{host}:{}", uri.scheme_str()?, uri.port_u16()?))
}

/// Returns the part of `url` between scheme and path.
pub(super) fn authority(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split('/').next().unwrap_or_default()
}

async fn look(readiness: &Readiness, url: Option<&str>, http: &http::Client) -> Result<(), String> {
    let need_url = || url.ok_or_else(|| "it has no address to ask at".to_owned());
    match readiness {
        Readiness::Running => Ok(()),
        Readiness::Http { path } => {
            let answer =
                http.get(&format!("{}{path}", need_url()?)).await.map_err(|error| error.to_string())?;
            if answer.status == ::http::StatusCode::OK {
                return Ok(());
            }
            let body: String = String::from_utf8_lossy(&answer.body).chars().take(200).collect();
            Err(format!("GET {path} is answered with {}: {body}", answer.status))
        }
        Readiness::GrpcHealth { service } => {
            let endpoint =
                Endpoint::from_shared(need_url()?.to_owned()).map_err(|error| error.to_string())?;
            let channel = endpoint.connect().await.map_err(|error| format!("gRPC: {error}"))?;
            let request = HealthCheckRequest { service: service.clone() };
            let answer = HealthClient::new(channel).check(request).await;
            match answer.map_err(|status| format!("grpc.health.v1: {status}"))?.into_inner().status() {
                ServingStatus::Serving => Ok(()),
                other => Err(format!("grpc.health.v1 says {}", other.as_str_name())),
            }
        }
        Readiness::Tcp => {
            let authority = authority(need_url()?);
            tokio::net::TcpStream::connect(authority)
                .await
                .map_err(|error| format!("{authority}: {error}"))?;
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_urls() {
        let url = |text| parse_address(text);
        assert_eq!(url("127.0.0.1:80").as_deref(), Some("http://127.0.0.1:80"));
        assert_eq!(url("0.0.0.0:81").as_deref(), Some("http://127.0.0.1:81"));
        assert_eq!(url("https://localhost:82/").as_deref(), Some("https://localhost:82"));
        assert_eq!(url("[::1]:83").as_deref(), Some("http://[::1]:83"));
        assert_eq!(url(""), None);
        assert_eq!(url("127.0.0.1"), None);
        assert_eq!(url("127.0.0.1:99999"), None);
    }
}
