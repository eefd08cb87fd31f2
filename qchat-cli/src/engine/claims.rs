//! KeyPackages of people, held against what their owners have signed.

use bytes::Bytes;
use qchat_proto::{identity::VerifiedDirectory, ids::DeviceId, wire::api::ClaimKeyPackages};

use super::{access::Access, clock, error::EngineError, steps::Steps};
use crate::net::rest::Client;

/// One verified KeyPackage of each of these devices of a person that has any, all of them on the person's newest list.
pub(super) async fn claim(
    (rest, access, steps): (&Client, &Access, &Steps),
    person: &VerifiedDirectory,
    devices: Vec<DeviceId>,
) -> Result<Vec<Bytes>, EngineError> {
    let request = &ClaimKeyPackages { account_id: person.record.account, devices };
    let claimed = access.ask(|token| async move { rest.claim_key_packages(&token, request).await }).await?;
    let name = &person.record.name;
    let mut key_packages = vec![];
    for claimed in claimed.key_packages {
        let device = steps.device.clone();
        let message = claimed.key_package.0;
        let inspected = {
            let message = message.clone();
            tokio::task::spawn_blocking(move || device.inspect_key_package(&message, clock::seconds()))
                .await
                .map_err(|_| EngineError::Stopped)?
        };
        let theirs = inspected.map_err(|fault| {
            EngineError::Refused(format!("the server gave a bad KeyPackage for {name}: {fault}"))
        })?;
        // A device that its owner does not list is one that the server made up, or keeps from before it was revoked; one that
        // an identity key of before has certified is a thief's.
        let listed = person.list.listed(theirs.device);
        let genuine = theirs.account == person.record.account
            && theirs.device == claimed.device_id
            && theirs.identity_key_hash == person.record.identity_key.hash()
            && listed.is_some_and(|listed| listed.device_key_hash == theirs.device_key.hash());
        if !genuine {
            return Err(EngineError::Refused(format!(
                "the server offered a device for {name} that is not theirs, or not any more"
            )));
        }
        key_packages.push(message);
    }
    Ok(key_packages)
}
