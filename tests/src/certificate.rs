//! Certificates of every kind that a client may be shown, and the authority that has signed them.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use qchat_proto::wire::server_key::ServerKey;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, IsCa, KeyPair, KeyUsagePurpose,
    PublicKeyData,
};
use time::{Duration, OffsetDateTime};

/// When a certificate is good.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Time {
    /// Now.
    Now,
    /// Until an hour ago.
    Past,
    /// From an hour on.
    Future,
}

/// Who signs certificates.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key.
pub struct Pair {
    /// PEM.
    pub certificate: String,
    /// PEM.
    pub key: String,
    /// By what clients know it.
    pub name: ServerKey,
}

impl Default for Authority {
    fn default() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        Self(CertifiedIssuer::self_signed(params, fresh()).expect("an authority"))
    }
}

impl Authority {
    /// Writes its certificate to a file, as `SSL_CERT_FILE` names one.
    pub fn write(&self, path: &Path) {
        fs::write(path, self.pem()).expect("a file");
    }

    /// Its certificate, PEM.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// Signs a certificate for a host.
    pub fn issue(&self, host: &str, time: Time) -> Pair {
        Pair::new(host, time, |params, key| params.signed_by(key, &self.0))
    }
}

impl Pair {
    /// A certificate for a host that signs itself.
    pub fn self_signed(host: &str) -> Self {
        Self::new(host, Time::Now, CertificateParams::self_signed)
    }

    fn new(
        host: &str,
        time: Time,
        sign: impl FnOnce(&CertificateParams, &KeyPair) -> Result<Certificate, rcgen::Error>,
    ) -> Self {
        let key = fresh();
        let mut params = CertificateParams::new([host.to_owned()]).expect("a host");
        let (now, hour) = (OffsetDateTime::now_utc(), Duration::HOUR);
        (params.not_before, params.not_after) = match time {
            Time::Now => (now - hour, now + hour),
            Time::Past => (now - 2 * hour, now - hour),
            Time::Future => (now + hour, now + 2 * hour),
        };
        let name = ServerKey::of(&key.subject_public_key_info());
        let certificate = sign(&params, &key).expect("a certificate").pem();
        Self { certificate, key: key.serialize_pem(), name }
    }

    /// Writes both to a directory, in place of what is there: the certificate and its key.
    pub fn write(&self, directory: &Path) -> [PathBuf; 2] {
        let paths = [directory.join("tls.crt"), directory.join("tls.key")];
        for (path, pem, mode) in [(&paths[0], &self.certificate, 0o644), (&paths[1], &self.key, 0o600)] {
            fs::write(path, pem).expect("a file");
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("its mode");
        }
        paths
    }
}

fn fresh() -> KeyPair {
    KeyPair::generate().expect("a key")
}
