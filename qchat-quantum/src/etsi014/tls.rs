//! Mutual TLS with a KME: who it is, and who the application is (§4.3, §5.1).

use std::{error::Error, io, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    client::Resumption,
    crypto::{
        CryptoProvider,
        aws_lc_rs::{self, kx_group},
    },
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    version::{TLS12, TLS13},
};
use zeroize::Zeroizing;

use super::Etsi014Error;

/// What an application shows to its KME and knows it by: the contents of three PEM files.
pub struct Credentials {
    /// The application's certificate, and those between it and the authority that the KME knows.
    pub certificate: Vec<u8>,
    /// Its private key.
    pub key: Zeroizing<Vec<u8>>,
    /// The certificates of the authorities that sign the KME's.
    pub authority: Vec<u8>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials")
    }
}

/// A configuration that knows the KME by the authority's certificate alone, not by the system's roots.
pub(super) fn configure(credentials: &Credentials) -> Result<ClientConfig, Etsi014Error> {
    let unusable = |what, reason: String| Etsi014Error::Credentials { what, reason };
    let mut roots = RootCertStore::empty();
    for certificate in certificates("the authority's certificate", &credentials.authority)? {
        roots.add(certificate).map_err(|error| unusable("the authority's certificate", error.to_string()))?;
    }
    let chain = certificates("the certificate of this application", &credentials.certificate)?;
    // What the parser says of a key may quote it.
    let key = PrivateKeyDer::from_pem_slice(&credentials.key).map_err(|_| {
        unusable("the private key of this application", "the file holds no private key in PEM".to_owned())
    })?;
    let provider = CryptoProvider {
        kx_groups: vec![kx_group::X25519MLKEM768, kx_group::X25519, kx_group::SECP256R1, kx_group::SECP384R1],
        ..aws_lc_rs::default_provider()
    };
    // The standard asks for 1.2 or newer, and there is equipment that has no newer one.
    let config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(|error| unusable("TLS", error.to_string()))?;
    let mut config =
        config.with_root_certificates(roots).with_client_auth_cert(chain, key).map_err(|error| {
            let reason = match error {
                rustls::Error::InconsistentKeys(_) => "it is not the key of the certificate".to_owned(),
                error => error.to_string(),
            };
            unusable("the private key of this application", reason)
        })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.resumption = Resumption::disabled();
    Ok(config)
}

fn certificates(what: &'static str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Etsi014Error> {
    let found = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => {
            Err(Etsi014Error::Credentials { what, reason: "the file holds no certificate in PEM".to_owned() })
        }
    }
}

/// The TLS error in a chain of others. What `io::Error` wraps is not among its sources.
pub(super) fn fault<'a>(mut error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    loop {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        error = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(wrapped) => wrapped,
            None => error.source()?,
        };
    }
}
