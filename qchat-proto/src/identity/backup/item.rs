//! What a backup holds, one thing at a time: people, rooms, and what was said. No state of a group is ever in one.

use crate::{
    identity::{
        IdentityError,
        format::{Reader, Statement, put_counted},
        link::HandedContact,
    },
    ids::{AccountId, DeviceId, MessageId, RoomId, Seq},
};

const WHAT: Statement = Statement::BackupItem;
const CONTACT: u8 = 1;
const ROOM: u8 = 2;
const MESSAGE: u8 = 3;
const NOTICE: u8 = 4;

/// One thing. In a chunk each is what it is (1), its length (4), and itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Item {
    /// Somebody whom the device has pinned; encoded as in a grant.
    Contact(HandedContact),
    /// A room.
    Room(KeptRoom),
    /// A message.
    Message(KeptMessage),
    /// Something that happened in a room.
    Notice(KeptNotice),
}

/// A room, as far as it is remembered: who restores it is in it no more.
///
/// | bytes | content |
/// |---|---|
/// | 16 | room id |
/// | 1 | 1 when the device was a member, 0 when it was none any more |
/// | 8 × 4 | cursor, generation, epoch, seq up to which was read |
/// | 8 | when the last message was stored, milliseconds; the least number for never |
/// | rest | the encoded settings, or nothing |
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeptRoom {
    /// The room.
    pub room: RoomId,
    /// Whether the device was a member.
    pub member: bool,
    /// The last envelope that it had processed.
    pub cursor: Seq,
    /// Which of the room's groups in a row it followed.
    pub generation: Seq,
    /// The epoch that it was in.
    pub epoch: u64,
    /// What was read.
    pub read_seq: Seq,
    /// When the last message was stored, milliseconds since the Unix epoch.
    pub active_ms: Option<i64>,
    /// The room's settings, encoded.
    pub settings: Vec<u8>,
}

/// A message.
///
/// | bytes | content |
/// |---|---|
/// | 16 | room id |
/// | 8, 8 | place; seq, or 0 where it has none |
/// | 16, 16, 16 | message id, account id, device id |
/// | 8 | epoch |
/// | 8 | when it was stored, milliseconds |
/// | 1 | how far it came |
/// | 8 | when it goes, milliseconds; the greatest number for never |
/// | rest | the encoded content, unpadded |
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeptMessage {
    /// The room.
    pub room: RoomId,
    /// Its place among the lines.
    pub place: u64,
    /// Its place in the log; 0 for one that failed.
    pub seq: Seq,
    /// Its id.
    pub id: MessageId,
    /// Whose it is.
    pub account: AccountId,
    /// From which device.
    pub device: DeviceId,
    /// The epoch it was sealed in.
    pub epoch: u64,
    /// When it was stored, milliseconds since the Unix epoch.
    pub stored_ms: i64,
    /// How far it came, as the client stores it.
    pub delivery: u8,
    /// When it goes, milliseconds since the Unix epoch; [`i64::MAX`] for never.
    pub expires_ms: i64,
    /// The encoded content.
    pub content: Vec<u8>,
}

/// Something that happened.
///
/// | bytes | content |
/// |---|---|
/// | 16 | room id |
/// | 8, 8 | place; seq, or 0 where it has none |
/// | 8 | when it was stored, milliseconds |
/// | rest | what happened, as the client stores it |
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeptNotice {
    /// The room.
    pub room: RoomId,
    /// Its place among the lines.
    pub place: u64,
    /// Its place in the log.
    pub seq: Seq,
    /// When it was stored, milliseconds since the Unix epoch.
    pub stored_ms: i64,
    /// What happened.
    pub body: Vec<u8>,
}

impl Item {
    /// Appends the item to what a chunk will hold.
    pub fn put(&self, bytes: &mut Vec<u8>) {
        let (kind, body) = match self {
            Self::Contact(contact) => {
                let mut body = vec![];
                contact.put(&mut body);
                (CONTACT, body)
            }
            Self::Room(room) => (ROOM, room.encode()),
            Self::Message(message) => (MESSAGE, message.encode()),
            Self::Notice(notice) => (NOTICE, notice.encode()),
        };
        bytes.push(kind);
        put_counted(bytes, &body);
    }

    /// The items of a chunk.
    ///
    /// # Errors
    /// [`IdentityError::Malformed`].
    pub fn read(held: &[u8]) -> Result<Vec<Self>, IdentityError> {
        let mut reader = Reader::inside(held, WHAT);
        let mut items = vec![];
        while !reader.is_empty() {
            let [kind] = reader.array()?;
            let mut body = Reader::inside(reader.counted()?, WHAT);
            let item = match kind {
                CONTACT => Self::Contact(HandedContact::read(&mut body)?),
                ROOM => Self::Room(KeptRoom::read(&mut body)?),
                MESSAGE => Self::Message(KeptMessage::read(&mut body)?),
                NOTICE => Self::Notice(KeptNotice::read(&mut body)?),
                _ => return Err(reader.malformed()),
            };
            body.end()?;
            items.push(item);
        }
        Ok(items)
    }
}

impl KeptRoom {
    fn encode(&self) -> Vec<u8> {
        let mut bytes = self.room.as_bytes().to_vec();
        bytes.push(self.member.into());
        for number in [self.cursor.0, self.generation.0, self.epoch, self.read_seq.0] {
            bytes.extend(number.to_be_bytes());
        }
        bytes.extend(self.active_ms.unwrap_or(i64::MIN).to_be_bytes());
        bytes.extend(&self.settings);
        bytes
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, IdentityError> {
        let room = RoomId::from_bytes(reader.array()?);
        let member = match reader.array()? {
            [0] => false,
            [1] => true,
            _ => return Err(reader.malformed()),
        };
        Ok(Self {
            room,
            member,
            cursor: Seq(reader.u64()?),
            generation: Seq(reader.u64()?),
            epoch: reader.u64()?,
            read_seq: Seq(reader.u64()?),
            active_ms: Some(i64::from_be_bytes(reader.array()?)).filter(|at| *at != i64::MIN),
            settings: reader.rest().to_vec(),
        })
    }
}

impl KeptMessage {
    fn encode(&self) -> Vec<u8> {
        let mut bytes = self.room.as_bytes().to_vec();
        bytes.extend(self.place.to_be_bytes());
        bytes.extend(self.seq.0.to_be_bytes());
        bytes.extend(self.id.as_bytes());
        bytes.extend(self.account.as_bytes());
        bytes.extend(self.device.as_bytes());
        bytes.extend(self.epoch.to_be_bytes());
        bytes.extend(self.stored_ms.to_be_bytes());
        bytes.push(self.delivery);
        bytes.extend(self.expires_ms.to_be_bytes());
        bytes.extend(&self.content);
        bytes
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, IdentityError> {
        Ok(Self {
            room: RoomId::from_bytes(reader.array()?),
            place: reader.u64()?,
            seq: Seq(reader.u64()?),
            id: MessageId::from_bytes(reader.array()?),
            account: reader.account()?,
            device: reader.device()?,
            epoch: reader.u64()?,
            stored_ms: i64::from_be_bytes(reader.array()?),
            delivery: u8::from_be_bytes(reader.array()?),
            expires_ms: i64::from_be_bytes(reader.array()?),
            content: reader.rest().to_vec(),
        })
    }
}

impl KeptNotice {
    fn encode(&self) -> Vec<u8> {
        let mut bytes = self.room.as_bytes().to_vec();
        bytes.extend(self.place.to_be_bytes());
        bytes.extend(self.seq.0.to_be_bytes());
        bytes.extend(self.stored_ms.to_be_bytes());
        bytes.extend(&self.body);
        bytes
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, IdentityError> {
        Ok(Self {
            room: RoomId::from_bytes(reader.array()?),
            place: reader.u64()?,
            seq: Seq(reader.u64()?),
            stored_ms: i64::from_be_bytes(reader.array()?),
            body: reader.rest().to_vec(),
        })
    }
}
