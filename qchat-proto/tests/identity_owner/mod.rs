//! An account with all its keys, for tests of identities.
#![allow(dead_code, unreachable_pub, missing_docs, reason = "each test takes what it needs")]

use qchat_proto::{
    crypto::{
        entropy::SystemEntropy,
        sign::{AccountSigningKey, DeviceSigningKey},
    },
    identity::{AccountRecord, DeviceCertificate, DeviceList, ListedDevice, RecoveryKey},
    ids::{AccountId, DeviceId, UserName},
};

pub const NOW: u64 = 1_800_000_000;

/// An account with all its keys, able to make every statement, true or not.
pub struct Owner {
    pub account: AccountId,
    pub name: UserName,
    pub identity: AccountSigningKey,
    pub recovery: AccountSigningKey,
    pub devices: Vec<(DeviceId, DeviceSigningKey)>,
}

impl Owner {
    pub fn new(name: &str, devices: u8) -> Self {
        Self {
            account: AccountId::random(&SystemEntropy).unwrap(),
            name: name.parse().unwrap(),
            identity: AccountSigningKey::generate(&SystemEntropy).unwrap(),
            recovery: RecoveryKey::generate(&SystemEntropy).unwrap().signing_key().unwrap(),
            devices: (1..=devices)
                .map(|n| (DeviceId::from_bytes([n; 16]), DeviceSigningKey::generate(&SystemEntropy).unwrap()))
                .collect(),
        }
    }

    pub fn record(&self, created_at: u64) -> Vec<u8> {
        let record = AccountRecord {
            account: self.account,
            name: self.name.clone(),
            identity_key: self.identity.public().clone(),
            recovery_key: self.recovery.public().clone(),
            created_at,
        };
        record.sign(&self.identity, &self.recovery).unwrap()
    }

    pub fn certificate(&self, device: DeviceId, key: &DeviceSigningKey) -> Vec<u8> {
        let certificate = DeviceCertificate {
            account: self.account,
            device,
            device_key: key.public().clone(),
            identity_key_hash: self.identity.public().hash(),
            created_at: NOW,
        };
        certificate.sign(&self.identity).unwrap()
    }

    pub fn certificates(&self) -> Vec<Vec<u8>> {
        self.devices.iter().map(|(device, key)| self.certificate(*device, key)).collect()
    }

    pub fn list_of(&self, version: u64) -> DeviceList {
        DeviceList {
            account: self.account,
            version,
            issued_at: NOW,
            expires_at: NOW + DeviceList::LIFETIME,
            devices: self
                .devices
                .iter()
                .map(|(device, key)| ListedDevice { device: *device, device_key_hash: key.public().hash() })
                .collect(),
        }
    }

    pub fn list(&self, version: u64) -> Vec<u8> {
        self.list_of(version).sign(&self.identity).unwrap()
    }
}
