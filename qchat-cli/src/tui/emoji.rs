//! Emoji by their names: `:thumbsup:` and what begins like it.

/// The emoji whose names begin with, or else hold, what was typed; at most `most`, each with its name.
pub(super) fn by_name(typed: &str, most: usize) -> Vec<(&'static str, &'static str)> {
    let typed = typed.to_lowercase();
    let named =
        || emojis::iter().flat_map(|emoji| emoji.shortcodes().map(move |name| (emoji.as_str(), name)));
    let begin = named().filter(|(_, name)| name.starts_with(&typed));
    let hold = named().filter(|(_, name)| !name.starts_with(&typed) && name.contains(&typed));
    let mut found: Vec<(&str, &str)> = Vec::new();
    for (emoji, name) in begin.chain(hold) {
        if found.len() == most {
            break;
        }
        if !found.iter().any(|(known, _)| *known == emoji) {
            found.push((emoji, name));
        }
    }
    found
}

/// Those that are reached for most, before anything was typed.
pub(super) const USUAL: [(&str, &str); 8] = [
    ("👍", "+1"),
    ("❤️", "heart"),
    ("😄", "smile"),
    ("🎉", "tada"),
    ("👀", "eyes"),
    ("🙏", "pray"),
    ("✅", "white_check_mark"),
    ("👎", "-1"),
];

/// The emoji of a whole name.
pub(super) fn named(name: &str) -> Option<&'static str> {
    emojis::get_by_shortcode(name).map(emojis::Emoji::as_str)
}

/// Whether a text is one emoji.
pub(super) fn is_one(text: &str) -> bool {
    emojis::get(text).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_find_emoji() {
        assert_eq!(named("tada"), Some("🎉"));
        assert!(by_name("thumbs", 5).iter().any(|(emoji, _)| *emoji == "👍"));
        assert_eq!(by_name("e", 4).len(), 4);
        assert!(by_name("no such thing at all", 4).is_empty());
        for (emoji, name) in USUAL {
            assert_eq!(named(name), Some(emoji), "{name}");
            assert!(is_one(emoji));
        }
    }
}
