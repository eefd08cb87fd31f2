//! Safety numbers: the same on both sides, others once anything that a pin protects is another, and as the protocol says
//! byte by byte.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use qchat_proto::{
    crypto::{secret::Secret, sign::AccountSigningKey},
    identity::AccountRecord,
    ids::AccountId,
    safety::{Checked, SafetyCode, SafetyDigits, SafetyError, SafetyNumber},
};

/// A record whose keys are drawn from one byte each.
fn record(account: u8, name: &str, identity: u8, recovery: u8) -> AccountRecord {
    let key = |seed| AccountSigningKey::from_seed(Secret::from_bytes([seed; 64])).unwrap().public().clone();
    AccountRecord {
        account: AccountId::from_bytes([account; 16]),
        name: name.parse().unwrap(),
        identity_key: key(identity),
        recovery_key: key(recovery),
        created_at: 1_800_000_000,
    }
}

fn alice() -> AccountRecord {
    record(0xa1, "alice", 1, 2)
}

fn bob() -> AccountRecord {
    record(0x0b, "bob", 3, 4)
}

/// Computed from docs/PROTOCOL.md by another program (Python's hashlib), with the public keys of these seeds.
#[test]
fn a_number_is_as_the_protocol_says() {
    let number = SafetyNumber::of(&alice(), &bob()).unwrap();
    assert_eq!(
        number.digits().groups().collect::<Vec<_>>().join(" "),
        "50349 63219 21382 94531 57742 69062 90382 05624 86999 49210 14767 02811"
    );
    assert_eq!(
        number.emoji().map(|emoji| emoji.name).join(" "),
        "hourglass flag cake house trumpet cactus balloon"
    );
    assert_eq!(
        number.code().to_string(),
        "QCHAT-VERIFY:1:A1A1A1A1A1A1A1A1A1A1A1A1A1A1A1A10B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B945AB4BF210E694FCEA18FA6CFC743733086ABDF729D00B5F6CEB952519FC906"
    );
}

#[test]
fn both_sides_have_the_same_number_and_each_its_own_text() {
    let (here, there) =
        (SafetyNumber::of(&alice(), &bob()).unwrap(), SafetyNumber::of(&bob(), &alice()).unwrap());
    assert_eq!(here.digits(), there.digits());
    assert_eq!(here.emoji(), there.emoji());
    assert_ne!(here.code(), there.code());
    assert_eq!((here.check(&there.code()), there.check(&here.code())), (Checked::Matches, Checked::Matches));
    assert_eq!((here.check(&here.code()), there.check(&there.code())), (Checked::Own, Checked::Own));
    assert_eq!(SafetyNumber::of(&alice(), &alice()), Err(SafetyError::Same));
}

#[test]
fn whatever_a_pin_protects_changes_the_number_and_nothing_else_does() {
    let number = SafetyNumber::of(&alice(), &bob()).unwrap();
    for (what, other, checked) in [
        (
            "another account",
            AccountRecord { account: AccountId::from_bytes([0x0c; 16]), ..bob() },
            Checked::Elsewhere,
        ),
        ("another name", record(0x0b, "bop", 3, 4), Checked::Differs),
        ("another identity key", record(0x0b, "bob", 5, 4), Checked::Differs),
        ("another recovery key", record(0x0b, "bob", 3, 5), Checked::Differs),
        ("keys in each other's place", record(0x0b, "bob", 4, 3), Checked::Differs),
    ] {
        let swapped = SafetyNumber::of(&alice(), &other).unwrap();
        assert_ne!(swapped.digits(), number.digits(), "{what}");
        assert_ne!(swapped.emoji(), number.emoji(), "{what}");
        // Bob reads it as what it is, whoever's keys were swapped.
        assert_eq!(SafetyNumber::of(&bob(), &alice()).unwrap().check(&swapped.code()), checked, "{what}");
        let seen = SafetyNumber::of(&other, &alice()).unwrap();
        assert_eq!(number.check(&seen.code()), checked, "{what}");
    }
    let renewed = AccountRecord { created_at: 1_900_000_000, ..bob() };
    assert_eq!(SafetyNumber::of(&alice(), &renewed).unwrap(), number);
}

#[test]
fn digits_are_read_as_people_write_them_and_in_full_only() {
    let digits = SafetyNumber::of(&alice(), &bob()).unwrap().digits();
    let written = digits.to_string();
    let groups: Vec<_> = digits.groups().collect();
    assert_eq!((groups.len(), written.len()), (12, 60));
    for text in [
        written.clone(),
        groups.join(" "),
        format!(" {}\n{}\t", groups[..6].join(" "), groups[6..].join("  ")),
    ] {
        assert_eq!(text.parse(), Ok(digits), "{text:?}");
    }
    for text in [
        "",
        &written[1..],
        &format!("{written}0"),
        &written.replacen(&written[..1], "x", 1),
        &groups.join("-"),
    ] {
        assert_eq!(text.parse::<SafetyDigits>(), Err(SafetyError::Digits), "{text:?}");
    }
    let mut other = written.into_bytes();
    other[59] = b'0' + (other[59] - b'0' + 1) % 10;
    assert_ne!(String::from_utf8(other).unwrap().parse(), Ok(digits), "the last one counts, too");
}

#[test]
fn texts_are_read_back_and_nothing_else_is_one() {
    let code = SafetyNumber::of(&alice(), &bob()).unwrap().code();
    let text = code.to_string();
    assert_eq!(text.len(), 143);
    for written in [text.clone(), format!("  {text}\r\n"), text.to_lowercase()] {
        assert_eq!(written.parse(), Ok(code.clone()), "{written:?}");
    }
    for (written, error) in [
        (String::new(), SafetyError::Code),
        (text[..142].to_owned(), SafetyError::Code),
        (format!("{text}00"), SafetyError::Code),
        (text.replace("QCHAT-VERIFY:1:", ""), SafetyError::Code),
        (text.replacen(":1:", ":2:", 1), SafetyError::Version),
        (text.replacen(":1:", ":1:é", 1), SafetyError::Code),
    ] {
        assert_eq!(written.parse::<SafetyCode>(), Err(error), "{written:?}");
    }
}
