//! How much one address and one account may ask for, so that nobody keeps the others from being served.
//!
//! Each limit counts by itself and forgets who has not been there lately. What counts by the minute, registrations and
//! logins, counts on all nodes that Redis connects; without it, and by the second, each node counts alone. Loopback addresses and Unix
//! sockets without an address count for nobody: who is behind them, a proxy for one, is not known.

use std::{
    collections::{HashMap, hash_map::Entry},
    hash::Hash,
    net::{IpAddr, Ipv4Addr},
    num::NonZeroU32,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use governor::{DefaultKeyedRateLimiter, Quota, clock::Clock, clock::DefaultClock};
use qchat_proto::{
    crypto::{kdf, secret::Secret},
    ids::{AccountId, UserName},
    wire::fault::{Fault, FaultCode},
};

use crate::{meters::Meters, peer::Peer};

/// Seconds' worth of connections or requests that may come at once.
const BURST: u32 = 10;
/// A publication counts once for each of these bytes begun.
const PUBLISHED_BYTES: usize = 8 * 1024;

/// What an account may tell those who are there, in a second; ten seconds' worth may come at once: a client that connects says to each
/// of its rooms that it is there. What is over it is dropped.
const EPHEMERALS: u32 = 10;

/// The settings; 0 is no limit.
#[derive(Clone, Copy, Debug)]
pub struct Rates {
    /// Connections of an address at once.
    pub address_connections: u32,
    /// New connections of an address in a second; ten seconds' worth may come at once.
    pub address_connections_per_second: u32,
    /// Registrations from an address in a minute.
    pub address_registrations_per_minute: u32,
    /// Logins and exchanges of refresh tokens from an address in a minute.
    pub address_logins_per_minute: u32,
    /// Logins of an account in a minute.
    pub account_logins_per_minute: u32,
    /// Attempts in a minute to register an account that is there already: each is a guess at its password.
    pub account_registrations_per_minute: u32,
    /// Requests of an account in a second; ten seconds' worth may come at once.
    pub account_requests_per_second: u32,
    /// Publications of an account in a second, each 8 KiB begun counted.
    pub account_publishes_per_second: u32,
}

/// All limits of a daemon.
pub struct Limits {
    meters: Arc<Meters>,
    connections: Arc<Connections>,
    connecting: Keyed<Network>,
    by_minute: [Keyed<Hashed>; 4],
    requests: Keyed<AccountId>,
    publishes: Keyed<AccountId>,
    ephemerals: Keyed<AccountId>,
    /// Under which names of what is limited are hashed.
    key: Secret<48>,
    /// Tells the other nodes.
    tell: Box<dyn Fn(Charge) + Send + Sync>,
}

/// A name as nodes tell it to each other: what carries it learns neither addresses nor accounts from it.
type Hashed = [u8; 8];

/// What counts by the minute, on all nodes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum ByMinute {
    /// Registrations of an address.
    Registrations,
    /// Logins of an address.
    Logins,
    /// Logins of an account.
    AccountLogins,
    /// Attempts at the password of a name.
    Names,
}

/// Something was counted, once. Whoever makes one up can keep somebody from logging in, for a minute, and nothing else.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Charge {
    /// Which limit, by its place among those of a minute.
    pub limit: u8,
    /// For whom.
    pub whom: [u8; 8],
}

/// What counts as one address: one of IPv4, or 2⁶⁴ of IPv6, which is the least that a connection at home gets.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Network {
    V4(Ipv4Addr),
    V6([u16; 4]),
}

impl Network {
    fn of(peer: &Peer) -> Option<Self> {
        match peer.address?.ip().to_canonical() {
            address if address.is_loopback() => None,
            IpAddr::V4(address) => Some(Self::V4(address)),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Some(Self::V6([a, b, c, d]))
            }
        }
    }
}

impl Network {
    fn bytes(self) -> Vec<u8> {
        match self {
            Self::V4(address) => address.octets().to_vec(),
            Self::V6(prefix) => prefix.iter().flat_map(|part| part.to_be_bytes()).collect(),
        }
    }
}

impl Limits {
    /// Limits of these rates; what is over one is counted. `pepper` is the secret of all nodes, and `tell` tells the others
    /// what was counted here.
    pub fn new(
        rates: &Rates,
        meters: Arc<Meters>,
        pepper: &Secret<32>,
        tell: impl Fn(Charge) + Send + Sync + 'static,
    ) -> Self {
        Self {
            meters,
            key: Secret::from_bytes(kdf::hmac_sha384(pepper.expose(), b"qchatd limits")),
            tell: Box::new(tell),
            connections: Arc::new(Connections {
                most: rates.address_connections,
                counted: Mutex::new(HashMap::new()),
            }),
            connecting: Keyed::per_second(rates.address_connections_per_second, BURST),
            // In the order of `ByMinute`.
            by_minute: [
                rates.address_registrations_per_minute,
                rates.address_logins_per_minute,
                rates.account_logins_per_minute,
                rates.account_registrations_per_minute,
            ]
            .map(Keyed::per_minute),
            requests: Keyed::per_second(rates.account_requests_per_second, BURST),
            publishes: Keyed::per_second(rates.account_publishes_per_second, 1),
            ephemerals: Keyed::per_second(EPHEMERALS, BURST),
        }
    }

    /// Counts something here, and tells the other nodes.
    fn count(&self, limit: ByMinute, name: &'static str, whom: &[u8]) -> Result<(), Duration> {
        let index = limit as u8;
        let mac = kdf::hmac_sha384(self.key.expose(), &[&[index][..], whom].concat());
        let whom = *mac.first_chunk().unwrap_or(&[0; 8]);
        self.over(name, self.by_minute[usize::from(index)].check(&whom, 1))?;
        (self.tell)(Charge { limit: index, whom });
        Ok(())
    }

    /// Counts what another node has counted.
    pub fn charge(&self, charge: Charge) {
        if let Some(limit) = self.by_minute.get(usize::from(charge.limit)) {
            // What is over it there too is nobody's to refuse here.
            let _ = limit.check(&charge.whom, 1);
        }
    }

    /// Whether an address may open another connection now.
    pub(crate) fn connecting(&self, peer: &Peer) -> bool {
        Network::of(peer)
            .is_none_or(|network| self.over("connecting", self.connecting.check(&network, 1)).is_ok())
    }

    /// A place among the address's connections; `Err` when it has as many as it may.
    pub(crate) fn connection(&self, peer: &Peer) -> Result<Place, Fault> {
        let Some(network) = Network::of(peer) else { return Ok(Place(None)) };
        let mut counted = self.connections.lock();
        let count = counted.entry(network).or_default();
        if self.connections.most > 0 && *count >= self.connections.most {
            self.meters.limited("connections");
            return Err(limited("your address has too many connections", Duration::ZERO));
        }
        *count += 1;
        Ok(Place(Some((network, self.connections.clone()))))
    }

    /// Counts a registration.
    pub(crate) fn registration(&self, peer: &Peer) -> Result<(), Fault> {
        let Some(network) = Network::of(peer) else { return Ok(()) };
        let checked = self.count(ByMinute::Registrations, "registrations", &network.bytes());
        checked.map_err(|wait| limited("too many registrations from your address", wait))
    }

    /// Counts a login, or the exchange of a refresh token.
    pub(crate) fn login(&self, peer: &Peer) -> Result<(), Fault> {
        let Some(network) = Network::of(peer) else { return Ok(()) };
        let checked = self.count(ByMinute::Logins, "logins", &network.bytes());
        checked.map_err(|wait| limited("too many logins from your address", wait))
    }

    /// Counts a login that has proved itself: nobody can lock another out.
    pub(crate) fn account_login(&self, account: AccountId) -> Result<(), Fault> {
        let checked = self.count(ByMinute::AccountLogins, "account_logins", account.as_bytes());
        checked.map_err(|wait| limited("too many logins of this account", wait))
    }

    /// Counts an attempt at the password of a registered name.
    pub(crate) fn name(&self, name: &UserName) -> Result<(), Fault> {
        let checked = self.count(ByMinute::Names, "account_registrations", name.as_str().as_bytes());
        checked.map_err(|wait| limited("too many attempts at the passphrase of this name", wait))
    }

    /// Counts a request with an access token.
    pub(crate) fn request(&self, account: AccountId) -> Result<(), Fault> {
        let checked = self.over("account_requests", self.requests.check(&account, 1));
        checked.map_err(|wait| limited("too many requests of this account", wait))
    }

    /// Counts a publication of `size` bytes, or says how long it has to wait.
    pub(crate) fn publish(&self, account: AccountId, size: usize) -> Result<(), Duration> {
        let weight = u32::try_from(size.div_ceil(PUBLISHED_BYTES)).unwrap_or(u32::MAX);
        self.over("account_publishes", self.publishes.check(&account, weight.max(1)))
    }

    /// Counts what is told to those who are there; whether it may be.
    pub(crate) fn ephemeral(&self, account: AccountId) -> bool {
        self.over("account_ephemerals", self.ephemerals.check(&account, 1)).is_ok()
    }

    fn over(&self, limit: &'static str, checked: Result<(), Duration>) -> Result<(), Duration> {
        checked.inspect_err(|_| self.meters.limited(limit))
    }

    /// Forgets who has not been there lately.
    pub(crate) fn tidy(&self) {
        self.connecting.tidy();
        self.by_minute.iter().for_each(Keyed::tidy);
        self.requests.tidy();
        self.publishes.tidy();
        self.ephemerals.tidy();
    }
}

/// The connections of each address.
struct Connections {
    most: u32,
    counted: Mutex<HashMap<Network, u32>>,
}

impl Connections {
    fn lock(&self) -> MutexGuard<'_, HashMap<Network, u32>> {
        // Nothing in here panics halfway through a change.
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place among an address's connections, given back when dropped.
pub(crate) struct Place(Option<(Network, Arc<Connections>)>);

impl Drop for Place {
    fn drop(&mut self) {
        let Some((network, connections)) = self.0.take() else { return };
        if let Entry::Occupied(mut entry) = connections.lock().entry(network) {
            *entry.get_mut() = entry.get().saturating_sub(1);
            if *entry.get() == 0 {
                entry.remove();
            }
        }
    }
}

/// A rate for each key, or none.
struct Keyed<K: Hash + Eq + Clone>(Option<(DefaultKeyedRateLimiter<K>, u32)>);

impl<K: Hash + Eq + Clone> Keyed<K> {
    fn new(rate: u32, burst: u32, quota: impl FnOnce(NonZeroU32) -> Quota) -> Self {
        Self(NonZeroU32::new(rate).map(|rate| {
            let most = rate.saturating_mul(NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN));
            (DefaultKeyedRateLimiter::keyed(quota(rate).allow_burst(most)), most.get())
        }))
    }

    fn per_second(rate: u32, burst: u32) -> Self {
        Self::new(rate, burst, Quota::per_second)
    }

    fn per_minute(rate: u32) -> Self {
        Self::new(rate, 1, Quota::per_minute)
    }

    /// Counts something of this weight, or says when to try again. What weighs more than may ever come at once weighs that
    /// much.
    fn check(&self, key: &K, weight: u32) -> Result<(), Duration> {
        let Some((limiter, most)) = &self.0 else { return Ok(()) };
        let weight = NonZeroU32::new(weight.min(*most)).unwrap_or(NonZeroU32::MIN);
        match limiter.check_key_n(key, weight) {
            Ok(Err(until)) => Err(until.wait_time_from(DefaultClock::default().now())),
            Ok(Ok(())) | Err(_) => Ok(()),
        }
    }

    fn tidy(&self) {
        if let Some((limiter, _)) = &self.0 {
            limiter.retain_recent();
            limiter.shrink_to_fit();
        }
    }
}

fn limited(what: &str, wait: Duration) -> Fault {
    let seconds = u32::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(u32::MAX).max(1);
    Fault {
        code: FaultCode::RateLimited,
        message: format!("{what}; try again in {seconds} s"),
        retry_after: Some(seconds),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(address: &str) -> Peer {
        Peer { address: Some((address.parse::<IpAddr>().unwrap(), 5000).into()), encrypted: false }
    }

    #[test]
    fn an_address_is_one_of_ipv4_and_a_64th_of_ipv6_and_loopback_is_none() {
        for (one, other, same) in [
            ("203.0.113.1", "203.0.113.1", true),
            ("203.0.113.1", "203.0.113.2", false),
            ("203.0.113.1", "::ffff:203.0.113.1", true),
            ("2001:db8::1", "2001:db8::ffff:1", true),
            ("2001:db8::1", "2001:db8:0:1::1", false),
        ] {
            assert_eq!(Network::of(&peer(one)) == Network::of(&peer(other)), same, "{one} {other}");
        }
        for nobody in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
            assert_eq!(Network::of(&peer(nobody)), None, "{nobody}");
        }
        assert_eq!(Network::of(&Peer { address: None, encrypted: false }), None);
    }

    #[test]
    fn what_is_not_used_is_forgotten_and_zero_is_no_limit() {
        let limits: Keyed<u32> = Keyed::per_second(1_000_000, 1);
        for key in 0..1_000 {
            assert!(limits.check(&key, 1).is_ok());
        }
        let (limiter, _) = limits.0.as_ref().unwrap();
        assert_eq!(limiter.len(), 1_000);
        // Each is as new again after a microsecond.
        while !limiter.is_empty() {
            limits.tidy();
        }
        let unlimited: Keyed<u32> = Keyed::per_minute(0);
        assert!((0..10_000).all(|_| unlimited.check(&0, u32::MAX).is_ok()));
        // Heavier than all that may come at once: when there is nothing before it, and then not for long.
        let heavy: Keyed<u32> = Keyed::per_minute(3);
        assert!(heavy.check(&0, 1_000).is_ok());
        let wait = heavy.check(&0, 1).unwrap_err();
        assert!(wait <= Duration::from_secs(20), "{wait:?}");
    }

    #[test]
    fn places_are_given_back() {
        let rates = Rates {
            address_connections: 2,
            address_connections_per_second: 0,
            address_registrations_per_minute: 0,
            address_logins_per_minute: 0,
            account_logins_per_minute: 0,
            account_registrations_per_minute: 0,
            account_requests_per_second: 0,
            account_publishes_per_second: 0,
        };
        let limits = Limits::new(&rates, Arc::default(), &Secret::from_bytes([0; 32]), |_| {});
        let one = peer("203.0.113.1");
        let places = (limits.connection(&one).ok().unwrap(), limits.connection(&one).ok().unwrap());
        assert_eq!(limits.connection(&one).err().unwrap().code, FaultCode::RateLimited);
        assert!(limits.connection(&peer("203.0.113.2")).is_ok());
        drop(places.0);
        assert!(limits.connection(&one).is_ok());
        drop(places.1);
        assert!(limits.connections.lock().is_empty());
    }
}
