//! The secrets of the key directory, all out of the token key file: what signs heads, what places entries, and what keeps
//! names out of the tree's own tables.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use akd::{
    AkdLabel, AkdValue, NodeLabel, VersionFreshness,
    configuration::Configuration,
    ecvrf::{Proof, VRFExpandedPrivateKey, VRFKeyStorage, VRFPrivateKey, VRFPublicKey, VrfError},
};
use async_trait::async_trait;
use futures_util::FutureExt as _;
use qchat_proto::crypto::{
    kdf,
    secret::Secret,
    sign::{DevicePublicKey, DeviceSigningKey, SignError},
};

/// Places that are remembered before all are forgotten: some 3 MB.
const REMEMBERED: usize = 16_384;

/// The secrets as derived.
pub struct DirectorySecrets {
    /// The seed of the key that signs heads.
    pub sign: Secret<64>,
    /// Of the VRF.
    pub vrf: Secret<32>,
    /// Hides labels in the tree's own tables.
    pub labels: Secret<32>,
}

/// The secrets, ready for use; clones share them.
#[derive(Clone)]
pub(super) struct Keys {
    pub(super) sign: Arc<DeviceSigningKey>,
    labels: Arc<Secret<32>>,
    pub(super) places: Places,
}

impl Keys {
    pub(super) fn new(secrets: DirectorySecrets) -> Result<Self, SignError> {
        Ok(Self {
            sign: Arc::new(DeviceSigningKey::from_seed(secrets.sign)?),
            labels: Arc::new(secrets.labels),
            places: Places::new(&secrets.vrf).map_err(|_| SignError::Library)?,
        })
    }

    pub(super) fn public(&self) -> &DevicePublicKey {
        self.sign.public()
    }

    /// By what the tables know a label.
    pub(super) fn who(&self, label: &[u8]) -> [u8; 32] {
        let hash = kdf::hmac_sha384(self.labels.expose(), label);
        std::array::from_fn(|at| hash[at])
    }
}

type Wanted = (Vec<u8>, u8, u64);

/// Where a label stands in the tree, by the VRF. What was computed once is remembered: it never changes.
#[derive(Clone)]
pub(super) struct Places(Arc<Inner>);

struct Inner {
    key: Secret<32>,
    expanded: VRFExpandedPrivateKey,
    public: VRFPublicKey,
    known: Mutex<HashMap<Wanted, (NodeLabel, Option<Proof>)>>,
}

impl fmt::Debug for Places {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Places")
    }
}

impl Places {
    fn new(secret: &Secret<32>) -> Result<Self, VrfError> {
        let key = VRFPrivateKey::try_from(secret.expose().as_slice())?;
        let (expanded, public) = (VRFExpandedPrivateKey::from(&key), VRFPublicKey::from(&key));
        let key = Secret::from_bytes(*secret.expose());
        Ok(Self(Arc::new(Inner { key, expanded, public, known: Mutex::default() })))
    }

    /// What proofs are checked with.
    pub(super) fn public(&self) -> [u8; 32] {
        self.0.public.to_bytes()
    }

    /// Where this version of a label stands.
    pub(super) fn place<TC: Configuration>(
        &self,
        label: &AkdLabel,
        freshness: VersionFreshness,
        version: u64,
    ) -> NodeLabel {
        self.find::<TC>(label, freshness, version, false).0
    }

    fn find<TC: Configuration>(
        &self,
        label: &AkdLabel,
        freshness: VersionFreshness,
        version: u64,
        with_proof: bool,
    ) -> (NodeLabel, Option<Proof>) {
        let wanted = (label.0.clone(), freshness as u8, version);
        let known = || self.0.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = known().get(&wanted)
            && (found.1.is_some() || !with_proof)
        {
            return *found;
        }
        let Inner { expanded, public, .. } = &*self.0;
        let found = if with_proof {
            let input = TC::get_hash_from_label_input(label, freshness, version);
            let proof = expanded.prove(public, &input);
            // Arithmetic alone: it waits for nothing.
            match self.get_node_label_from_vrf_proof(proof).now_or_never() {
                Some(place) => (place, Some(proof)),
                None => (self.place::<TC>(label, freshness, version), Some(proof)),
            }
        } else {
            let place = <Self as VRFKeyStorage>::get_node_label_with_expanded_key::<TC>(
                expanded, public, label, freshness, version,
            );
            (place, None)
        };
        let mut known = known();
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(wanted, found);
        found
    }
}

#[async_trait]
impl VRFKeyStorage for Places {
    async fn retrieve(&self) -> Result<Vec<u8>, VrfError> {
        Ok(self.0.key.expose().to_vec())
    }

    async fn get_node_label<TC: Configuration>(
        &self,
        label: &AkdLabel,
        freshness: VersionFreshness,
        version: u64,
    ) -> Result<NodeLabel, VrfError> {
        Ok(self.place::<TC>(label, freshness, version))
    }

    async fn get_node_labels<TC: Configuration>(
        &self,
        labels: &[(AkdLabel, VersionFreshness, u64, AkdValue)],
    ) -> Result<Vec<((AkdLabel, VersionFreshness, u64, AkdValue), NodeLabel)>, VrfError> {
        let place = |(label, freshness, version, value): &(AkdLabel, VersionFreshness, u64, AkdValue)| {
            let place = self.place::<TC>(label, *freshness, *version);
            ((label.clone(), *freshness, *version, value.clone()), place)
        };
        Ok(labels.iter().map(place).collect())
    }

    async fn get_label_proof<TC: Configuration>(
        &self,
        label: &AkdLabel,
        freshness: VersionFreshness,
        version: u64,
    ) -> Result<Proof, VrfError> {
        let found = self.find::<TC>(label, freshness, version, true).1;
        found.ok_or_else(|| VrfError::SigningKey("no proof was made".to_owned()))
    }
}
