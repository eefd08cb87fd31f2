//! Bits that two people compare, as emoji: 64 that differ at a glance, each with its English name for whoever reads them out.

/// A picture and its name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Emoji {
    /// The picture, two columns wide on a terminal.
    pub picture: &'static str,
    /// Its name in English, one lower-case word.
    pub name: &'static str,
}

/// Six bits each. All are of Unicode 6 to 9, one scalar, wide, and without a variation selector, so that terminals agree on
/// them.
const TABLE: [(&str, &str); 64] = [
    ("🐶", "dog"),
    ("🐱", "cat"),
    ("🦁", "lion"),
    ("🐴", "horse"),
    ("🦄", "unicorn"),
    ("🐷", "pig"),
    ("🐘", "elephant"),
    ("🐰", "rabbit"),
    ("🐼", "panda"),
    ("🐔", "chicken"),
    ("🐧", "penguin"),
    ("🐢", "turtle"),
    ("🐟", "fish"),
    ("🐙", "octopus"),
    ("🦋", "butterfly"),
    ("🐝", "bee"),
    ("🌷", "tulip"),
    ("🌳", "tree"),
    ("🌵", "cactus"),
    ("🍄", "mushroom"),
    ("🌍", "globe"),
    ("🌙", "moon"),
    ("⭐", "star"),
    ("🔥", "fire"),
    ("🍌", "banana"),
    ("🍎", "apple"),
    ("🍓", "strawberry"),
    ("🌽", "corn"),
    ("🍕", "pizza"),
    ("🎂", "cake"),
    ("🍦", "icecream"),
    ("🥚", "egg"),
    ("🤖", "robot"),
    ("🎩", "hat"),
    ("👓", "glasses"),
    ("🔧", "wrench"),
    ("🎅", "santa"),
    ("👑", "crown"),
    ("💍", "ring"),
    ("⌛", "hourglass"),
    ("⏰", "clock"),
    ("🎁", "gift"),
    ("💡", "lamp"),
    ("📕", "book"),
    ("🔑", "key"),
    ("📎", "paperclip"),
    ("🔒", "lock"),
    ("🔨", "hammer"),
    ("📷", "camera"),
    ("🎈", "balloon"),
    ("🏁", "flag"),
    ("🚂", "train"),
    ("🚲", "bicycle"),
    ("🚀", "rocket"),
    ("⛵", "sailboat"),
    ("⚽", "football"),
    ("🎸", "guitar"),
    ("🎺", "trumpet"),
    ("🔔", "bell"),
    ("⚓", "anchor"),
    ("🎧", "headphones"),
    ("📌", "pin"),
    ("🏠", "house"),
    ("🌈", "rainbow"),
];

/// The first 42 of the bits as seven emoji, most significant bit first.
pub fn seven(bits: [u8; 6]) -> [Emoji; 7] {
    let number = bits.iter().fold(0u64, |number, byte| number << 8 | u64::from(*byte));
    std::array::from_fn(|place| {
        let six = number >> (42 - 6 * place) & 63;
        let (picture, name) = TABLE[usize::try_from(six).unwrap_or(0)];
        Emoji { picture, name }
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use unicode_width::UnicodeWidthStr;

    use super::*;

    #[test]
    fn no_two_are_alike_and_each_takes_two_columns() {
        assert_eq!(TABLE.iter().map(|(picture, _)| picture).collect::<HashSet<_>>().len(), 64);
        assert_eq!(TABLE.iter().map(|(_, name)| name).collect::<HashSet<_>>().len(), 64);
        for (picture, name) in TABLE {
            assert_eq!((picture.chars().count(), picture.width()), (1, 2), "{name}");
        }
    }

    #[test]
    fn seven_emoji_are_the_first_42_bits() {
        let names = |bits| seven(bits).map(|emoji| emoji.name);
        assert_eq!(names([0; 6]), ["dog"; 7]);
        assert_eq!(names([0xff; 6]), ["rainbow"; 7]);
        // 000001 000010 000011 000100 000101 000110 000111, and six bits that are not shown.
        assert_eq!(
            names([0b0000_0100, 0b0010_0000, 0b1100_0100, 0b0001_0100, 0b0110_0001, 0b1111_1111]),
            ["cat", "lion", "horse", "unicorn", "pig", "elephant", "rabbit"]
        );
    }
}
