//! Reads Rust sources just far enough to know which crates and modules a file names: comments and literals fall away,
//! `use` trees unfold, and every path is resolved to the crate it starts in.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// A path that a source file names, resolved: `crate::store::rooms` for a module of its own crate, else as written
/// from an external crate on (`diesel::prelude`).
pub type NamedPath = Vec<String>;

/// Every `.rs` file under a directory, sorted.
pub fn rust_files(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![root.to_path_buf()];
    while let Some(directory) = open.pop() {
        let Ok(entries) = fs::read_dir(&directory) else { continue };
        for entry in entries.flatten() {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// The module path of a file below a crate's `src`: `["tui", "view"]` for `tui/view.rs`, nothing for `lib.rs`.
pub fn module_of(file: &Path) -> Vec<String> {
    let mut module: Vec<String> =
        file.with_extension("").iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if matches!(module.last().map(String::as_str), Some("mod" | "lib" | "main")) {
        module.pop();
    }
    module
}

/// The paths that `source` names, as seen from `module` of the crate that others call `own_name`.
pub fn named_paths(source: &str, own_name: &str, module: &[String]) -> Vec<NamedPath> {
    let tokens = tokens(source);
    let mut paths = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if tokens[at] == "use" {
            at = use_tree(&tokens, at + 1, &[], &mut paths);
        } else if is_word(&tokens[at]) && starts_a_path(&tokens[..at]) {
            let mut path = vec![tokens[at].clone()];
            while tokens.get(at + 1).is_some_and(|token| token == "::")
                && tokens.get(at + 2).is_some_and(|token| is_word(token))
            {
                path.push(tokens[at + 2].clone());
                at += 2;
            }
            if path.len() > 1 {
                paths.push(path);
            }
            at += 1;
        } else {
            at += 1;
        }
    }
    paths.into_iter().map(|path| resolve(path, own_name, module)).collect()
}

/// Whether a word after these tokens is the first of its path; `::word` is, `<T>::word` is not.
fn starts_a_path(before: &[String]) -> bool {
    match before {
        [.., left, colons] if colons == "::" => !is_word(left) && left != ">",
        _ => true,
    }
}

/// Unfolds a `use` tree from `at`; returns where it ends.
fn use_tree(tokens: &[String], mut at: usize, prefix: &[String], paths: &mut Vec<NamedPath>) -> usize {
    let mut path = prefix.to_vec();
    while at < tokens.len() {
        match tokens[at].as_str() {
            "::" => at += 1,
            "as" => at += 2,
            "*" => {
                path.push("*".to_owned());
                at += 1;
            }
            "{" => {
                at += 1;
                while at < tokens.len() && tokens[at] != "}" {
                    at = use_tree(tokens, at, &path, paths);
                    if tokens.get(at).is_some_and(|token| token == ",") {
                        at += 1;
                    }
                }
                return at + 1;
            }
            word if is_word(word) => {
                path.push(word.to_owned());
                at += 1;
            }
            _ => break,
        }
    }
    if path.len() > prefix.len() {
        paths.push(path);
    }
    at
}

fn resolve(path: NamedPath, own_name: &str, module: &[String]) -> NamedPath {
    let ups = path.iter().take_while(|part| *part == "super").count();
    if ups > 0 {
        let above = &module[..module.len().saturating_sub(ups)];
        return [&["crate".to_owned()][..], above, &path[ups..]].concat();
    }
    match path[0].as_str() {
        "self" => [&["crate".to_owned()][..], module, &path[1..]].concat(),
        name if name == own_name => [&["crate".to_owned()][..], &path[1..]].concat(),
        _ => path,
    }
}

fn is_word(token: &str) -> bool {
    token.starts_with(|c: char| c == '_' || c.is_alphabetic())
}

/// Words, `::` and single punctuation; no comments, no strings, no characters.
fn tokens(source: &str) -> Vec<String> {
    let text: Vec<char> = source.chars().collect();
    let starts = |at: usize, word: &str| word.chars().enumerate().all(|(i, c)| text.get(at + i) == Some(&c));
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let c = text[at];
        if starts(at, "//") {
            while at < text.len() && text[at] != '\n' {
                at += 1;
            }
        } else if starts(at, "/*") {
            let mut depth = 1;
            at += 2;
            while at < text.len() && depth > 0 {
                if starts(at, "/*") {
                    depth += 1;
                    at += 1;
                } else if starts(at, "*/") {
                    depth -= 1;
                    at += 1;
                }
                at += 1;
            }
        } else if let Some(end) = literal_end(&text, at) {
            at = end;
        } else if c == '_' || c == '\'' || c.is_alphanumeric() {
            // A quote that opens no literal is a lifetime's.
            let start = at;
            at += 1;
            while at < text.len() && (text[at] == '_' || text[at].is_alphanumeric()) {
                at += 1;
            }
            tokens.push(text[start..at].iter().collect());
        } else if starts(at, "::") {
            tokens.push("::".to_owned());
            at += 2;
        } else {
            if !c.is_whitespace() {
                tokens.push(c.to_string());
            }
            at += 1;
        }
    }
    tokens
}

/// Where the string or character literal that begins at `at` ends, if one does.
fn literal_end(text: &[char], at: usize) -> Option<usize> {
    let get = |at: usize| text.get(at).copied().unwrap_or('\0');
    let mut quote = at;
    while matches!(get(quote), 'b' | 'c' | 'r') && quote < at + 2 {
        quote += 1;
    }
    let raw = quote > at && get(quote - 1) == 'r';
    let mut hashes = 0;
    while raw && get(quote + hashes) == '#' {
        hashes += 1;
    }
    let open = quote + hashes;
    match get(open) {
        '"' => {
            let mut end = open + 1;
            while end < text.len() {
                if get(end) == '\\' && !raw {
                    end += 1;
                } else if get(end) == '"' && (0..hashes).all(|i| get(end + 1 + i) == '#') {
                    return Some(end + 1 + hashes);
                }
                end += 1;
            }
            Some(end)
        }
        // A character, and not a lifetime: closed after one character or an escape.
        '\'' if get(open + 1) == '\\' => {
            (open + 3..text.len()).find(|&end| get(end) == '\'').map(|end| end + 1)
        }
        '\'' if get(open + 2) == '\'' => Some(open + 3),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(source: &str) -> Vec<String> {
        let module = ["tui".to_owned(), "view".to_owned()];
        named_paths(source, "qchat_cli", &module).iter().map(|path| path.join("::")).collect()
    }

    #[test]
    fn paths_are_found_in_use_trees_and_in_code() {
        for (source, expected) in [
            ("use diesel::prelude::*;", vec!["diesel::prelude::*"]),
            ("use warp;", vec!["warp"]),
            (
                "use crate::{net, store::{rooms, Db as D}};",
                vec!["crate::net", "crate::store::rooms", "crate::store::Db"],
            ),
            ("pub(crate) use super::super::net::Socket;", vec!["crate::net::Socket"]),
            ("fn f() { let x = tokio::spawn(y); }", vec!["tokio::spawn"]),
            ("fn f(x: &'a ::redis::Client) {}", vec!["redis::Client"]),
            ("fn f() { qchat_cli::store::open() }", vec!["crate::store::open"]),
            ("fn f() { self::x::y() }", vec!["crate::tui::view::x::y"]),
        ] {
            assert_eq!(names(source), expected, "{source}");
        }
    }

    #[test]
    fn comments_and_literals_name_nothing() {
        for source in [
            "// use warp::Filter;",
            "/* a /* diesel::x */ redis::y */",
            r#"const X: &str = "tokio::spawn \" std::fs::read";"#,
            r##"const X: &str = r#"tokio::"spawn"#;"##,
            "const X: (char, char, u8) = ('\"', '\\'', b'\"'); // std::fs::read",
        ] {
            assert_eq!(names(source), Vec::<String>::new(), "{source}");
        }
    }

    #[test]
    fn files_know_their_module() {
        for (file, module) in
            [("lib.rs", ""), ("store/mod.rs", "store"), ("store/rooms.rs", "store::rooms"), ("main.rs", "")]
        {
            assert_eq!(module_of(Path::new(file)).join("::"), module);
        }
    }
}
