//! A one-time KeyPackage is given out once, however many ask at the same moment.

use std::collections::HashSet;

use qchat_proto::wire::{
    api::{Binary, ClaimKeyPackages, ClaimedKeyPackages, KeyPackageCount, PutKeyPackages},
    fault::FaultCode,
    limits,
};

use crate::support::{Database, Device, Server, device::random, on_both};

on_both!(no_package_is_claimed_twice, uploads_are_bounded);

async fn no_package_is_claimed_twice(database: Database) {
    const PACKAGES: usize = 40;
    let server = Server::start(database).await;
    let bob = Device::register(&server, "bob").await;
    let upload = PutKeyPackages {
        key_packages: (0..PACKAGES - bob.registration.key_packages.len())
            .map(|_| random::<40>().to_vec().into())
            .collect(),
        last_resort: None,
    };
    bob.post::<_, KeyPackageCount>("/v1/key-packages", &upload).await.unwrap();
    let claim = ClaimKeyPackages { account_id: bob.account, devices: vec![] };
    let claims = (0..PACKAGES + 10).map(|_| async {
        bob.post::<_, ClaimedKeyPackages>("/v1/key-packages/claim", &claim).await.unwrap()
    });
    let claimed = futures_util::future::join_all(claims).await;

    let (mut once, mut last_resort) = (HashSet::new(), 0);
    for package in claimed.into_iter().flat_map(|answer| answer.key_packages) {
        if package.last_resort {
            assert_eq!(package.key_package, bob.registration.last_resort_key_package);
            last_resort += 1;
        } else {
            assert!(once.insert(package.key_package.as_ref().to_vec()), "claimed twice");
        }
    }
    assert_eq!((once.len(), last_resort), (PACKAGES, 10));
}

async fn uploads_are_bounded(database: Database) {
    let server = Server::start(database).await;
    let bob = Device::register(&server, "bob").await;
    let upload = |packages: Vec<Binary>| PutKeyPackages { key_packages: packages, last_resort: None };
    let many = |count: usize| (0..count).map(|_| random::<40>().to_vec().into()).collect();
    for (packages, code) in [
        (vec![Vec::new().into()], FaultCode::BadRequest),
        (vec![vec![0; limits::KEY_PACKAGE + 1].into()], FaultCode::TooLarge),
        (many(limits::KEY_PACKAGES + 1), FaultCode::TooLarge),
    ] {
        let refused = bob.post::<_, KeyPackageCount>("/v1/key-packages", &upload(packages)).await;
        assert_eq!(refused.unwrap_err(), code);
    }
    // Storage is bounded too: beyond some number nothing is kept, and what was there stays.
    let mut kept = bob.registration.key_packages.len();
    let refusal = loop {
        match bob.post::<_, KeyPackageCount>("/v1/key-packages", &upload(many(limits::KEY_PACKAGES))).await {
            Ok(count) => kept = count.count as usize,
            Err(code) => break code,
        }
    };
    assert_eq!(refusal, FaultCode::Conflict);
    let left: KeyPackageCount = bob.get("/v1/key-packages").await.unwrap();
    assert_eq!(left.count as usize, kept);
}
