//! A pair of key management entities (KMEs), the ends of one QKD link, as ETSI GS QKD 014 V1.1.1 has them: they give the
//! same keys out at both ends, over mutual TLS, to those applications (SAEs) whose certificates they know. What they say to
//! each other is left to their makers by the standard; these share a table. They misbehave on demand.

mod http;
mod link;

use std::{
    collections::BTreeMap,
    fs,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    sync::Arc,
    thread,
};

use rustls::{
    RootCertStore, ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use tempfile::TempDir;

use crate::certificate::{Authority, Time};

pub use link::{Link, Mischief};

/// One of the two ends.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum End {
    /// Where the master sits in most tests.
    Near,
    /// The other.
    Far,
}

/// An application that one of the KMEs knows.
pub struct Sae {
    /// Its id.
    pub id: String,
    /// Its KME's address.
    pub url: String,
    /// Its certificate, PEM.
    pub certificate: PathBuf,
    /// Its key, PEM.
    pub key: PathBuf,
    /// The certificate of the authority that signs the KMEs', PEM.
    pub authority: PathBuf,
}

/// The two ends of a link, running until the test ends.
pub struct Pair {
    link: Arc<Link>,
    addresses: BTreeMap<End, SocketAddr>,
    saes: Vec<Sae>,
    directory: TempDir,
}

impl Pair {
    /// Starts both, which know these applications at these ends.
    pub fn start(saes: &[(&str, End)]) -> Self {
        let directory = TempDir::new().expect("a directory");
        let authority = Authority::default();
        let path = directory.path().join("authority.pem");
        authority.write(&path);
        let mut known = BTreeMap::new();
        let mut all = vec![];
        for (id, end) in saes {
            let place = directory.path().join(id);
            fs::create_dir(&place).expect("a directory");
            let pair = authority.issue(id, Time::Now);
            let [certificate, key] = pair.write(&place);
            known.insert((*end, first(&pair.certificate).to_vec()), (*id).to_owned());
            all.push((
                *end,
                Sae { id: (*id).to_owned(), url: String::new(), certificate, key, authority: path.clone() },
            ));
        }
        let link = Arc::new(Link::new(saes));
        let known = Arc::new(known);
        let mut addresses = BTreeMap::new();
        for end in [End::Near, End::Far] {
            addresses.insert(end, serve(&authority, end, Arc::clone(&link), Arc::clone(&known)));
        }
        let saes =
            all.into_iter().map(|(end, sae)| Sae { url: format!("https://{}", addresses[&end]), ..sae });
        Self { link, saes: saes.collect(), addresses, directory }
    }

    /// What the two ends share, and how they behave.
    pub fn link(&self) -> &Link {
        &self.link
    }

    /// An application by its id.
    pub fn sae(&self, id: &str) -> &Sae {
        self.saes.iter().find(|sae| sae.id == id).expect("one that was named at the start")
    }

    /// Where an end listens.
    pub fn address(&self, end: End) -> SocketAddr {
        self.addresses[&end]
    }

    /// Where files may be put.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }
}

fn first(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate")
}

/// Listens, a thread for each connection, which has one request.
fn serve(
    authority: &Authority,
    end: End,
    link: Arc<Link>,
    known: Arc<BTreeMap<(End, Vec<u8>), String>>,
) -> SocketAddr {
    let pair = authority.issue("127.0.0.1", Time::Now);
    let mut roots = RootCertStore::empty();
    roots.add(first(&authority.pem())).expect("an authority");
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
        .build()
        .expect("a verifier");
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions that the library knows")
        .with_client_cert_verifier(verifier)
        .with_single_cert(
            vec![first(&pair.certificate)],
            PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).expect("a key"),
        )
        .expect("a certificate with its key");
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let (config, link, known) = (Arc::clone(&config), Arc::clone(&link), Arc::clone(&known));
            thread::spawn(move || {
                // A client that goes away is not the KME's trouble.
                drop(http::converse(stream, config, |shown, request| {
                    let sae = shown.and_then(|shown| known.get(&(end, shown.to_vec())));
                    link.answer(end, sae.map(String::as_str), request)
                }));
            });
        }
    });
    address
}
