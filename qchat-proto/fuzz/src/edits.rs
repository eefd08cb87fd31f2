//! From the fuzzer's input to what a decoder is given.

/// The input's first byte chooses one of the `genuine` encodings, which the rest edits, or none, and the rest is given
/// as it is.
pub(crate) fn edited(genuine: &[Vec<u8>], input: &[u8]) -> Vec<u8> {
    let Some((choice, script)) = input.split_first() else { return Vec::new() };
    match genuine.get(usize::from(*choice) % (genuine.len() + 1)) {
        Some(bytes) => edit(bytes.clone(), script),
        None => script.to_vec(),
    }
}

/// Applies edits: each is its kind (1 byte), its place (2 bytes) and a length (1 byte), with as many new bytes.
pub(crate) fn edit(mut bytes: Vec<u8>, mut script: &[u8]) -> Vec<u8> {
    while let [kind, high, low, length, rest @ ..] = script {
        let place = usize::from(u16::from_be_bytes([*high, *low])) % (bytes.len() + 1);
        let length = usize::from(*length % 64);
        let (new, rest) = rest.split_at(if kind % 4 < 2 { length.min(rest.len()) } else { 0 });
        script = rest;
        match kind % 4 {
            0 => drop(bytes.splice(place..place, new.iter().copied())),
            1 => bytes.iter_mut().skip(place).zip(new).for_each(|(byte, new)| *byte = *new),
            2 => drop(bytes.drain(place..(place + length).min(bytes.len()))),
            _ => bytes.truncate(place),
        }
    }
    bytes
}
