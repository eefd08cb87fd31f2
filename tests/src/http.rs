//! An HTTP client for plain http, as a tool of somebody else's.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs, version::TLS13};

/// A client that trusts no certificate: it is for http alone, and need not read the system's.
pub fn client() -> reqwest::Client {
    builder().build().expect("a client")
}

/// One that is not built yet.
pub fn builder() -> reqwest::ClientBuilder {
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&TLS13])
        .expect("TLS 1.3")
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    reqwest::Client::builder().tls_backend_preconfigured(config)
}
