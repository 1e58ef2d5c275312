use std::time::Duration;

use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use steadfast_core::transport::Error;

use crate::Tls;
use crate::http::SYSTEM;

pub(super) type Connector = HttpConnector;

/// Makes what connects to `uri`.
pub(super) fn connector(uri: &Uri, _tls: &Tls, within: Duration) -> Result<Connector, Error> {
    if uri.scheme_str() == Some("https") {
        let problem = "`https` is not built yet".to_owned();
        return Err(Error::Configuration { system: SYSTEM, field: "url", problem });
    }
    let mut http = HttpConnector::new();
    http.set_connect_timeout(Some(within));
    http.set_nodelay(true);
    Ok(http)
}
