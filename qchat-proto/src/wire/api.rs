//! The bodies of the REST interface under `/v1`, JSON. Byte strings are base64url without padding.
//!
//! | request | body | answer |
//! |---|---|---|
//! | `GET /v1/server` | | [`ServerInfo`] |
//! | `POST /v1/accounts` | [`Register`] | 201 [`Session`] |
//! | `GET /v1/accounts/by-name/{name}`, `GET /v1/accounts/{id}` | | [`Directory`] |
//! | `GET /v1/accounts/{id}/history` | | [`DirectoryHistory`] |
//! | `GET /v1/directory/head` | | [`DirectoryHead`] |
//! | `GET /v1/directory/audit` | | [`DirectoryGrowth`] |
//! | `PUT /v1/account/device-list` | [`PutDeviceList`] | 204 |
//! | `GET /v1/account/devices` | | [`Devices`] |
//! | `PUT /v1/account/label` | [`PutLabel`] | 204 |
//! | `POST /v1/links/salt` | [`SaltRequest`] | [`Salt`] |
//! | `POST /v1/links` | [`OpenLink`] | 201 [`LinkSession`] |
//! | `GET /v1/link` | | [`LinkState`] |
//! | `PUT /v1/link/opening` | [`PutOpening`] | 204 |
//! | `POST /v1/link/confirm`, `DELETE /v1/link` | | 204 |
//! | `GET /v1/account/link` | | [`PendingLink`] |
//! | `PUT /v1/account/link/answer` | [`PutAnswer`] | 204 |
//! | `DELETE /v1/account/link/{id}` | | 204 |
//! | `GET /v1/account/grant`, `DELETE /v1/account/grant` | | [`Granted`], 204 |
//! | `GET /v1/account/activity` | | [`Activity`] |
//! | `GET /v1/account/passphrase` | | [`PassphraseSalt`] |
//! | `PUT /v1/account/passphrase` | [`ChangePassphrase`] | 204 |
//! | `POST /v1/account/export` | [`ExportAccount`] | what the daemon holds about the account, JSON Lines |
//! | `POST /v1/account/delete` | [`DeleteAccount`] | 204 |
//! | `GET /v1/accounts/{id}/identity-key` | | [`IdentityKey`] |
//! | `POST /v1/recovery/challenge` | [`RecoveryChallengeRequest`] | [`RecoveryChallenge`] |
//! | `POST /v1/recovery` | [`Recover`] | [`Recovered`] |
//! | `POST /v1/recovery/device` | [`AddRecovered`] | 204 |
//! | `GET /v1/account/backups` | | [`Backups`] |
//! | `PUT /v1/account/backup` | [`PutBackup`] | 204 |
//! | `POST /v1/account/backup/missing` | [`Chunks`] | [`Chunks`] |
//! | `PUT /v1/account/backup/chunks/{id}` | a part of a backup, as bytes | 204 |
//! | `GET /v1/account/backups/{device}/chunks/{id}` | | a part of a backup, as bytes |
//! | `DELETE /v1/account/backups/{device}` | | 204 |
//! | `POST /v1/sessions/challenge` | [`ChallengeRequest`] | [`Challenge`] |
//! | `POST /v1/sessions` | [`Login`] | [`Session`] |
//! | `POST /v1/sessions/refresh` | [`Refresh`] | [`Session`] |
//! | `DELETE /v1/sessions`, `DELETE /v1/account/sessions` | | 204 |
//! | `GET /v1/account/notes` | | [`AccountNotes`] |
//! | `PUT /v1/account/notes` | [`PutAccountNotes`] | 204 |
//! | `POST /v1/key-packages` | [`PutKeyPackages`] | [`KeyPackageCount`] |
//! | `GET /v1/key-packages` | | [`KeyPackageCount`] |
//! | `POST /v1/key-packages/claim` | [`ClaimKeyPackages`] | [`ClaimedKeyPackages`] |
//! | `POST /v1/rooms` | [`CreateRoom`] | 201 [`Room`] |
//! | `GET /v1/rooms` | | [`Rooms`] |
//! | `GET /v1/rooms/{id}` | | [`Room`] |
//! | `GET /v1/rooms/{id}/invitation` | | [`RoomInvitation`] |
//! | `GET /v1/rooms/{id}/invitation/{seq}/tree` | | the ratchet tree, as bytes |
//! | `PUT /v1/rooms/{id}/trees/{hash}` | a ratchet tree, as bytes | 204 |
//! | `PUT /v1/rooms/{id}/files/{file}` | [`PutFile`] | [`FileParts`] |
//! | `PUT /v1/rooms/{id}/files/{file}/parts/{number}` | a part of a file, as bytes | 204 |
//! | `POST /v1/rooms/{id}/files/{file}/complete` | [`CompleteFile`] | 204 |
//! | `GET /v1/rooms/{id}/files/{file}` | | the file, or the `Range` of it, as bytes |
//! | `DELETE /v1/rooms/{id}/files/{file}` | | 204 |
//! | `GET /v1/account/files` | | [`FileQuota`] |
//! | `POST /v1/rooms/{id}/join`, `POST /v1/rooms/{id}/decline` | | 204 |
//! | `PUT /v1/rooms/{id}/join-request` | [`PutJoinRequest`] | 204 |
//! | `GET /v1/account/join-requests` | | [`JoinRequests`] |
//! | `DELETE /v1/rooms/{id}/join-requests/{account}` | | 204 |
//!
//! All but `server`, registration, challenge, login, refresh, deletion, recovery and the opening of a link need `Authorization: Bearer`
//! with the access token; `/v1/link` takes the token of a link and no other, and nothing else takes that one.
//! Every failure is a [`super::fault::FaultBody`].

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use serde::{Deserialize, Serialize, de};

use super::chunk::ChunkId;
use crate::ids::{AccountId, DeviceId, LinkId, RoomId, Seq, ServerId, UserName};

/// Bytes that stand in JSON as base64url without padding.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Binary(pub Bytes);

impl fmt::Debug for Binary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Binary({} bytes)", self.0.len())
    }
}

impl From<Vec<u8>> for Binary {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

impl From<Bytes> for Binary {
    fn from(bytes: Bytes) -> Self {
        Self(bytes)
    }
}

impl AsRef<[u8]> for Binary {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Serialize for Binary {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&URL_SAFE_NO_PAD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Binary {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        URL_SAFE_NO_PAD
            .decode(text.as_bytes())
            .map(|bytes| Self(bytes.into()))
            .map_err(|_| de::Error::custom("not base64url without padding"))
    }
}

/// Who the daemon is and what it speaks.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ServerInfo {
    /// Drawn when the database was created.
    pub server_id: ServerId,
    /// The daemon's version, for people.
    pub version: String,
    /// Oldest protocol version it speaks.
    pub protocol_min: u32,
    /// Newest protocol version it speaks.
    pub protocol_max: u32,
    /// The key that signs the heads of its key directory, of the device level; clients keep the first that they see.
    #[serde(default)]
    pub directory_key: Binary,
}

/// Creates an account with its first device.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Register {
    /// The name asked for.
    pub name: UserName,
    /// Drawn by the client.
    pub account_id: AccountId,
    /// Drawn by the client.
    pub device_id: DeviceId,
    /// What Argon2id made of the password, 32 bytes; the daemon keeps a verifier of it only.
    pub auth_key: Binary,
    /// The salt that it was made with, 16 bytes, given back to a client that knows only the name.
    pub auth_salt: Binary,
    /// A signed account record (`identity::AccountRecord`).
    pub account_record: Binary,
    /// A signed device list (`identity::DeviceList`).
    pub device_list: Binary,
    /// A signed certificate of the first device (`identity::DeviceCertificate`).
    pub device_certificate: Binary,
    /// One-time KeyPackages (MLSMessage).
    pub key_packages: Vec<Binary>,
    /// The KeyPackage that may be given out again and again once the others are used up.
    pub last_resort_key_package: Binary,
}

/// Access for one device.
#[derive(Clone, Serialize, Deserialize)]
pub struct Session {
    /// A JWT for `Authorization: Bearer`.
    pub access_token: String,
    /// Its life, seconds.
    pub expires_in: u32,
    /// Opaque, single use: exchanged for the next pair.
    pub refresh_token: String,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("expires_in", &self.expires_in).finish_non_exhaustive()
    }
}

/// What the daemon says about an account. The client believes only what is signed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Directory {
    /// The account's name.
    pub name: UserName,
    /// The account.
    pub account_id: AccountId,
    /// The signed account record.
    pub account_record: Binary,
    /// The newest signed device list.
    pub device_list: Binary,
    /// The signed certificate of each device on it.
    pub device_certificates: Vec<Binary>,
    /// That the key directory says just this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<DirectoryProof>,
    /// There is no proof yet: what has just been stored is in the directory soon. To be asked again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pending: bool,
}

/// That the key directory holds what an answer says (`transparency::verify_lookup`).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DirectoryProof {
    /// The newest head (`transparency::SignedHead`).
    pub head: Binary,
    /// The heads that lead from it to the one that the client has (`transparency::verify_path`); empty when it has none.
    pub path: Binary,
    /// That the name is this account's.
    pub name: EntryProof,
    /// That the account consists of this record and this list.
    pub account: EntryProof,
}

/// That the newest thing under a label is what an answer says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EntryProof {
    /// 32 bytes that the commitment was made with.
    pub salt: Binary,
    /// The proof.
    pub proof: Binary,
}

/// The newest head of the key directory.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DirectoryHead {
    /// The head (`transparency::SignedHead`).
    pub head: Binary,
    /// The heads that lead from it to the one that was asked for with `since`.
    pub path: Binary,
}

/// How the key directory has grown, a part of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DirectoryGrowth {
    /// The epochs after the one that was asked from, in order. Fewer than there are: the rest is to be asked for.
    pub epochs: Vec<GrownEpoch>,
    /// The newest epoch.
    pub newest: u64,
}

/// One step of that growth.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GrownEpoch {
    /// The head, without a signature (`transparency::TreeHead`): the newest one's holds for those before.
    pub head: Binary,
    /// That the tree has only grown since the head before (`transparency::verify_append`).
    pub grown: Binary,
}

/// What the key directory has said of an account.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DirectoryHistory {
    /// The newest head.
    pub head: Binary,
    /// As in [`DirectoryProof`].
    pub path: Binary,
    /// Whose its name has been.
    pub name: EntryHistory,
    /// What it has consisted of.
    pub account: EntryHistory,
}

/// What a label has held.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EntryHistory {
    /// The proof (`transparency::verify_history`).
    pub proof: Binary,
    /// What was said, as far as it is not forgotten.
    pub said: Vec<PastEntry>,
}

/// Something that was said once.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PastEntry {
    /// The version of its label.
    pub version: u64,
    /// 32 bytes that the commitment was made with.
    pub salt: Binary,
    /// What was said (`transparency::NameEntry`, `transparency::AccountEntry`).
    pub said: Binary,
}

/// Replaces the account's device list by a newer one, and brings what that needs: all of it is stored, or nothing.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct PutDeviceList {
    /// A signed device list with a higher version than the stored one.
    pub device_list: Binary,
    /// Certificates of devices that are new on it, or have new ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub certificates: Vec<PutCertificate>,
    /// A new account record, by another identity key and the same recovery key: then every listed device needs a new
    /// certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_record: Option<Binary>,
    /// The link that this completes: it must wait still, and have been confirmed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link_id: Option<LinkId>,
}

/// A device's certificate, with what goes to the device itself and what its account's devices know of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PutCertificate {
    /// A signed certificate (`identity::DeviceCertificate`).
    pub certificate: Binary,
    /// A sealed label (`identity::DeviceLabel`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<Binary>,
    /// What is kept for the device until it takes it (`identity::link::Grant`), sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant: Option<Binary>,
}

/// The account's devices, for itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Devices {
    /// Those on the newest list, in no order.
    pub devices: Vec<DeviceEntry>,
}

/// What the daemon knows of a device beside what is signed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DeviceEntry {
    /// The device.
    pub device_id: DeviceId,
    /// Its sealed label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<Binary>,
    /// When it last had a new token, to the hour, seconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<u64>,
}

/// Replaces the caller's label.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PutLabel {
    /// Sealed.
    pub label: Binary,
}

/// Asks for the salt of an account's password.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SaltRequest {
    /// The account's name.
    pub name: UserName,
}

/// The salt; a name that nobody has gets one too, always the same.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Salt {
    /// 16 bytes.
    pub auth_salt: Binary,
}

/// A new device asks to belong to an account, by its password. It has committed to what it will say of itself.
#[derive(Clone, Serialize, Deserialize)]
pub struct OpenLink {
    /// The account's name.
    pub name: UserName,
    /// What Argon2id made of the password, 32 bytes.
    pub auth_key: Binary,
    /// 48 bytes (`identity::link::NewDevice`).
    pub commitment: Binary,
}

impl fmt::Debug for OpenLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenLink").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What the new device may go on with: the link, and nothing else.
#[derive(Clone, Serialize, Deserialize)]
pub struct LinkSession {
    /// The link.
    pub link_id: LinkId,
    /// For `Authorization: Bearer` at `/v1/link`; good nowhere else.
    pub token: String,
    /// Its life, seconds.
    pub expires_in: u32,
}

impl fmt::Debug for LinkSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LinkSession").field("link_id", &self.link_id).finish_non_exhaustive()
    }
}

/// How far a link is, for the new device.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LinkState {
    /// The old device's answer, once there is one (`identity::link::LinkAnswer`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Binary>,
    /// What is left of its time, seconds.
    pub expires_in: u32,
}

/// Opens what the new device has committed to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PutOpening {
    /// Sealed to the key in the answer.
    pub opening: Binary,
}

/// A link that waits, for the account's devices.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PendingLink {
    /// The link.
    pub link_id: LinkId,
    /// What the new device has committed to.
    pub commitment: Binary,
    /// When it asked, seconds since the Unix epoch.
    pub created_at: u64,
    /// What is left of its time, seconds.
    pub expires_in: u32,
    /// The device that has answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered_by: Option<DeviceId>,
    /// What the new device has opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opening: Option<Binary>,
    /// Whether the new device's user has said that the codes are the same.
    pub confirmed: bool,
}

/// Answers a new device.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PutAnswer {
    /// Which link.
    pub link_id: LinkId,
    /// The answer (`identity::link::LinkAnswer`).
    pub answer: Binary,
}

/// What another device of the account has sealed for this one.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Granted {
    /// Sealed.
    pub grant: Binary,
}

/// Asks for something to sign.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ChallengeRequest {
    /// The account.
    pub account_id: AccountId,
    /// Its device.
    pub device_id: DeviceId,
}

/// What the device signs to log in (`identity::LoginProof`).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Challenge {
    /// 32 bytes, good for one login.
    pub nonce: Binary,
    /// The daemon that asks; a client signs only for the one it registered with.
    pub server_id: ServerId,
    /// When the nonce stops being good, seconds since the Unix epoch.
    pub expires_at: u64,
}

/// A device's proof.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Login {
    /// The account.
    pub account_id: AccountId,
    /// Its device.
    pub device_id: DeviceId,
    /// From the challenge.
    pub nonce: Binary,
    /// By the device key over nonce, server id, expiry, account and device.
    pub signature: Binary,
}

/// Exchanges a refresh token.
#[derive(Clone, Serialize, Deserialize)]
pub struct Refresh {
    /// The token.
    pub refresh_token: String,
    /// Drawn for each exchange: a retry with the same one gets the same answer for 30 s.
    pub idempotency_key: Binary,
}

impl fmt::Debug for Refresh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refresh").finish_non_exhaustive()
    }
}

/// Adds one-time KeyPackages. With a last-resort one given, all that were there before and are unclaimed are replaced:
/// so a device renews them before they expire.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PutKeyPackages {
    /// At most `limits::KEY_PACKAGES`.
    pub key_packages: Vec<Binary>,
    /// The new last-resort KeyPackage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_resort: Option<Binary>,
}

/// What a device has to know to look after itself and its account.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KeyPackageCount {
    /// How many one-time KeyPackages of this device are unclaimed, the last-resort one not counted.
    pub count: u32,
    /// The version of the account's device list: who knows an older one asks for the directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_list_version: Option<u64>,
    /// The version of the account's notes; 0 where there are none.
    #[serde(default)]
    pub notes_version: u64,
    /// Whether somebody asks to be let into a room in which this device is full.
    #[serde(default)]
    pub join_requests: bool,
    /// Devices that have come back by the recovery words and are not yet in rooms that this device and their account are in:
    /// whoever finds their account's signature under it adds them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub owed: Vec<OwedPlace>,
}

/// What the account's devices keep for one another.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AccountNotes {
    /// 0 where there are none.
    pub version: u64,
    /// Sealed (`identity::seal_notes`); empty where there are none.
    pub sealed: Binary,
}

/// Puts other notes in the place of those of one version.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PutAccountNotes {
    /// The version that they follow, and take the place of: 0 for none.
    pub after: u64,
    /// At most `limits::NOTES`.
    pub sealed: Binary,
}

/// What somebody who holds an invite link asks the members of its room.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PutJoinRequest {
    /// An `identity::JoinRequest`.
    pub request: Binary,
}

/// What waits for an answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct JoinRequests {
    /// At most `limits::JOIN_REQUESTS_AT_ONCE`, in no order.
    pub requests: Vec<WaitingJoinRequest>,
}

/// A join request that waits.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WaitingJoinRequest {
    /// The room.
    pub room_id: RoomId,
    /// Whose it is, by the daemon's word.
    pub account_id: AccountId,
    /// An `identity::JoinRequest`.
    pub request: Binary,
}

/// A place in a room that a device is owed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct OwedPlace {
    /// The room.
    pub room_id: RoomId,
    /// The device's account.
    pub account_id: AccountId,
    /// The device.
    pub device_id: DeviceId,
}

/// Asks for one KeyPackage of every device of an account.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ClaimKeyPackages {
    /// Whose.
    pub account_id: AccountId,
    /// Only these devices; all when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<DeviceId>,
}

/// A device's KeyPackage, never given to anyone else unless it is the last-resort one.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ClaimedKeyPackage {
    /// The device.
    pub device_id: DeviceId,
    /// An MLSMessage with a KeyPackage.
    pub key_package: Binary,
    /// Whether it is the last-resort one.
    pub last_resort: bool,
}

/// One KeyPackage per device.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ClaimedKeyPackages {
    /// In no order.
    pub key_packages: Vec<ClaimedKeyPackage>,
}

/// Creates a room whose only member is the caller's device. Its name and settings live in the group.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CreateRoom {
    /// Drawn by the client; repeating the request is harmless.
    pub room_id: RoomId,
}

/// Where a device stands in a room.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MemberStatus {
    /// May publish and read.
    Full,
    /// Added to the group, has not joined yet: may read, not publish.
    Invited,
    /// Removed; may read up to and including the removing commit.
    Removed,
}

/// A device on the daemon's list.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RoomMember {
    /// Its account.
    pub account_id: AccountId,
    /// The device.
    pub device_id: DeviceId,
    /// Full or invited.
    pub status: MemberStatus,
}

/// A room as the daemon sees it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Room {
    /// The room.
    pub room_id: RoomId,
    /// The caller's own standing.
    pub status: MemberStatus,
    /// Highest seq that the caller may read.
    pub last_seq: Seq,
    /// Seq of the last commit.
    pub commit_seq: Seq,
    /// How far the caller has said that it has processed the log; in a list of rooms only. Never goes back: a profile that
    /// has not come so far is a previous copy of the one that has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmed: Option<Seq>,
    /// The other devices; empty in a list of rooms.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<RoomMember>,
}

/// The rooms of the calling device.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Rooms {
    /// Those it is a member of, is invited to or was removed from.
    pub rooms: Vec<Room>,
}

/// What an invited device needs to join, but for the ratchet tree, which is fetched beside it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RoomInvitation {
    /// The room.
    pub room_id: RoomId,
    /// Seq of the commit that added the device.
    pub seq: Seq,
    /// The account whose device added it, as the daemon says; the Welcome proves it.
    pub inviter: AccountId,
    /// An MLSMessage with a Welcome.
    pub welcome: Binary,
}

/// Begins a file, or asks how far it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PutFile {
    /// Bytes of all its parts (`file::Layout::sealed`).
    pub size: u64,
}

/// How far a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileParts {
    /// Parts that are there, from the first on without a gap.
    pub parts: u64,
    /// Whether all of it is there, and readable by the room.
    pub complete: bool,
}

/// Ends a file: all parts are there.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CompleteFile {
    /// Of all of it (`file::FileHash`), 48 bytes.
    pub hash: Binary,
}

/// What an account's files take here, and may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileQuota {
    /// Bytes of its files, those that are being put there included.
    pub bytes: u64,
    /// The most that they may have together.
    pub most: u64,
    /// The most that one may have.
    pub most_each: u64,
}

/// A device's word for one thing that is done to its account (`identity::AccountProof`).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Proof {
    /// From a challenge.
    pub nonce: Binary,
    /// By the device key.
    pub signature: Binary,
}

/// The salt that the caller's auth key is made with, 16 bytes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PassphraseSalt {
    /// From the registration, or the last change.
    pub auth_salt: Binary,
}

/// Replaces what the daemon keeps of the passphrase.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ChangePassphrase {
    /// What Argon2id makes of the passphrase so far, 32 bytes.
    pub auth_key: Binary,
    /// What it makes of the new one, 32 bytes.
    pub new_auth_key: Binary,
    /// The salt for the new one, 16 bytes.
    pub new_auth_salt: Binary,
    /// For this new auth key and salt.
    pub proof: Proof,
}

/// Asks for what the daemon holds about the caller's account.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ExportAccount {
    /// For the export.
    pub proof: Proof,
}

/// Erases an account. It is not the caller's session that is believed, since it ends with this.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DeleteAccount {
    /// The account.
    pub account_id: AccountId,
    /// The device that asks for it.
    pub device_id: DeviceId,
    /// What Argon2id makes of the passphrase, 32 bytes.
    pub auth_key: Binary,
    /// 32 bytes that the client has drawn. Who comes again with the same is told that it is done.
    pub token: Binary,
    /// For this token.
    pub proof: Proof,
}

/// The account identity key of an account that was erased.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct IdentityKey {
    /// 2,624 bytes.
    pub identity_key: Binary,
}

/// What the daemon has noted about the caller's account, newest first.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Activity {
    /// One page of it.
    pub entries: Vec<ActivityEntry>,
    /// What `?before=` says for the next page; missing at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<u64>,
}

/// Something that was done to the account, or tried.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ActivityEntry {
    /// Its place in the daemon's log of such things.
    pub seq: u64,
    /// When it happened, or happened first, seconds since the Unix epoch.
    pub first_at: u64,
    /// When it happened last.
    pub last_at: u64,
    /// How often it happened.
    pub times: u64,
    /// What: `sign_in`, say. Newer daemons know more.
    pub act: String,
    /// What became of it: `done`, or why not.
    pub outcome: String,
    /// Who did it: `account`, `unknown`, `operator` or `daemon`.
    pub actor: String,
    /// The device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_id: Option<DeviceId>,
    /// The address or network that it came from, as the daemon saw it and as coarse as its operator wants it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
}

/// Somebody with the recovery words of an account asks for something to sign.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RecoveryChallengeRequest {
    /// The account's name.
    pub name: UserName,
    /// The device that is to be.
    pub device_id: DeviceId,
}

/// Something to sign with the recovery key. Whether there is such an account it does not say.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RecoveryChallenge {
    /// The account.
    pub account_id: AccountId,
    /// 32 bytes, good for one use.
    pub nonce: Binary,
    /// The daemon.
    pub server_id: ServerId,
    /// The first second at which it is no longer good.
    pub expires_at: u64,
}

/// Proves that the recovery words are there, to see the account and its backups.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Recover {
    /// The account, as the challenge names it.
    pub account_id: AccountId,
    /// The device that is to be.
    pub device_id: DeviceId,
    /// By the recovery key.
    pub proof: Proof,
}

/// The account and what there is to restore it from.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Recovered {
    /// Its directory entry.
    pub directory: Directory,
    /// The newest backup of each device.
    pub backups: Vec<StoredBackup>,
}

/// Makes a device one of the account, by the recovery words.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AddRecovered {
    /// The account.
    pub account_id: AccountId,
    /// The device.
    pub device_id: DeviceId,
    /// By the recovery key, over the device list.
    pub proof: Proof,
    /// A signed device list with a higher version than the stored one, which names the device.
    pub device_list: Binary,
    /// The device's certificate and label.
    pub certificate: PutCertificate,
    /// The account's new record, signed by the recovery key that stands in the one before, when somebody else has its identity
    /// key: the list and the certificate are signed by the new one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_record: Option<Binary>,
}

/// The newest backup of a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredBackup {
    /// Whose it is.
    pub device_id: DeviceId,
    /// The signed head.
    pub head: Binary,
    /// Bytes of its parts.
    pub bytes: u64,
}

/// What the daemon keeps of an account's backups.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Backups {
    /// Each device's newest.
    pub backups: Vec<StoredBackup>,
    /// Bytes in all, those included that belong to no backup yet or no more.
    pub bytes: u64,
    /// Most bytes that the account may have there.
    pub most: u64,
}

/// Parts of a backup.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Chunks {
    /// Their ids.
    pub chunks: Vec<ChunkId>,
}

/// Makes parts that are there the newest backup of the caller's device.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PutBackup {
    /// The signed head, of a higher version than the stored one.
    pub head: Binary,
    /// All parts that it needs, the index included; every one has to be there.
    pub chunks: Vec<ChunkId>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_survive_json() {
        for bytes in [vec![], vec![0xff], vec![0xfb, 0xff, 0xfe, 1]] {
            let binary = Binary::from(bytes);
            let json = serde_json::to_string(&binary).unwrap_or_default();
            assert!(!json.contains(['+', '/', '=']), "{json}");
            assert_eq!(serde_json::from_str::<Binary>(&json).ok(), Some(binary));
        }
        assert!(serde_json::from_str::<Binary>("\"a+b=\"").is_err());
    }
}
