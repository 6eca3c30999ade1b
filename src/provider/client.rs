//! The HTTP client of both platforms: time-outs, certificates, proxies from the environment, no
//! redirects of its own.

use std::path::PathBuf;
use std::time::Duration;

use super::certificates;
use super::http::TransportError;

/// The settings that both platforms' connections share.
#[derive(Debug, Clone, Default)]
pub(super) struct ClientSettings {
    pub connect_timeout: Duration,
    /// A file of authorities that are trusted beside the system's.
    pub authority_file: Option<PathBuf>,
}

impl ClientSettings {
    /// Makes the client, within the runtime that it is used in.
    ///
    /// # Errors
    ///
    /// Fails where the certificates cannot be read.
    pub(super) fn client(&self) -> Result<reqwest::Client, TransportError> {
        let tls = certificates::tls(self.authority_file.as_deref()).map_err(TransportError::Hopeless)?;
        reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .connect_timeout(self.connect_timeout)
            // `retry` decides about both: neither a redirect nor a lost connection may repeat a
            // POST.
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .user_agent(concat!("atmos-deployments/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| TransportError::from_error(&error))
    }
}
