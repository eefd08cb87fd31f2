//! Strings: names, recovery words, and what is shown on a screen.

use std::{fmt, str::FromStr, sync::LazyLock};

use qchat_proto::{
    identity::RecoveryKey,
    invite::Link,
    ids::{AccountId, DeviceId, MessageId, RoomId, ServerId, UserName},
    mls::psk::{PskId, PskKind},
    safety::{SafetyCode, SafetyDigits},
    sanitize,
    wire::{fault::FaultCode, trace::TraceParent, tree::TreeHash},
};

use crate::{edits::edited, world::Repeated};

/// Ids, names and safety numbers: what is read is printed as it was, ids in lower case.
pub fn names(input: &[u8]) {
    fn read<T: FromStr + fmt::Display>(text: &str) {
        if let Ok(name) = text.parse::<T>() {
            assert_eq!(name.to_string(), text.to_ascii_lowercase());
        }
    }
    let psk = PskId { kind: PskKind::Exercise, id: [7; 32] }.encode();
    let bytes = edited(
        &[
            b"alice.b-c_1".to_vec(),
            "0a".repeat(16).into_bytes(),
            psk,
            vec![5; 16],
            "0b".repeat(48).into_bytes(),
            b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_vec(),
            "12345 67890 ".repeat(6).into_bytes(),
            format!("QCHAT-VERIFY:1:{}", "0C".repeat(64)).into_bytes(),
            format!("https://a.example/join#AQ{}", "Q".repeat(85)).into_bytes(),
        ],
        input,
    );
    if let Some(id) = PskId::decode(&bytes) {
        assert_eq!(id.encode(), bytes);
    }
    if let Ok(id) = RoomId::try_from(&bytes[..]) {
        assert_eq!(id.as_bytes()[..], bytes);
    }
    if let Ok(hash) = TreeHash::try_from(&bytes[..]) {
        assert_eq!(hash.as_bytes()[..], bytes);
    }
    let Ok(text) = std::str::from_utf8(&bytes) else { return };
    read::<AccountId>(text);
    read::<DeviceId>(text);
    read::<RoomId>(text);
    read::<MessageId>(text);
    read::<ServerId>(text);
    read::<UserName>(text);
    read::<TreeHash>(text);
    if let Ok(parent) = text.parse::<TraceParent>() {
        assert_eq!(parent.to_string()[..53], text[..53]);
    }
    if let Ok(link) = text.parse::<Link>() {
        assert_eq!(*link.text(), text.trim());
    }
    if let Ok(digits) = text.parse::<SafetyDigits>() {
        let plain: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
        assert_eq!(digits.to_string(), plain);
    }
    if let Ok(code) = text.parse::<SafetyCode>() {
        assert_eq!(code.to_string(), text.trim_ascii().to_ascii_uppercase());
    }
    let code = FaultCode::from_wire(text);
    assert!(code == FaultCode::Internal || code.as_str() == text);
}

/// What is shown has no character that acts, and is shown the same when it is sanitised again.
pub fn sanitize(input: &[u8]) {
    let genuine =
        ["a\u{301}\u{202e}\n\t\u{1b}[2J", "👩\u{200d}👩\u{200d}👧 🏳\u{fe0f}\u{200d}🌈", "می\u{200c}خواهم"];
    let bytes = edited(&genuine.map(|text| text.as_bytes().to_vec()), input);
    let given = String::from_utf8_lossy(&bytes);
    let most = usize::from(input.first().copied().unwrap_or(0) / 4);

    let text = sanitize::text(&given);
    let line = sanitize::line(&given);
    let name = sanitize::name(&given, most);
    assert!(!text.chars().any(|c| acts(c) && c != '\n'), "{text:?}");
    assert!(!line.chars().any(acts), "{line:?}");
    assert!(!name.chars().any(acts), "{name:?}");
    assert!(name.chars().count() <= most, "{name:?}");
    assert_eq!(sanitize::text(&text), text);
    assert_eq!(sanitize::line(&line), line);
    assert_eq!(sanitize::name(&name, most), name);
}

/// Control characters, and those that turn a line around.
fn acts(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Words that are taken for a recovery key are the key's words.
pub fn recovery_words(input: &[u8]) {
    static GENUINE: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
        let entropy = Repeated::default();
        let words = |_| RecoveryKey::generate(&entropy).expect("random bytes").words().as_bytes().to_vec();
        (0..4).map(words).collect()
    });
    let bytes = edited(&GENUINE, input);
    let text = String::from_utf8_lossy(&bytes);
    if let Ok(key) = RecoveryKey::from_words(&text) {
        let plain: Vec<_> = text.split_whitespace().map(str::to_ascii_lowercase).collect();
        assert_eq!(*key.words(), plain.join(" "));
        key.signing_key().expect("every key signs");
    }
}
