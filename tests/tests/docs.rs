//! The documentation names only tests that exist and files that are there, and no *cannot* stands without its test.

use std::{collections::BTreeSet, fs, path::PathBuf};

use qchat_tests::{source::rust_files, workspace_root};

/// Every function that is a test, by name, over the whole workspace.
fn tests() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for file in rust_files(&workspace_root()) {
        if file.strip_prefix(workspace_root()).is_ok_and(|file| file.starts_with("target")) {
            continue;
        }
        let source = fs::read_to_string(&file).unwrap_or_default();
        let mut marked = false;
        for line in source.lines().map(str::trim) {
            if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
                marked = true;
            } else if let Some((_, rest)) = line.split_once("fn ").filter(|_| marked) {
                names.extend(rest.split('(').next().map(str::to_owned));
                marked = false;
            }
        }
        // Stories become tests on each database through a macro.
        for (_, rest) in source.match_indices("on_both!(").map(|(at, word)| source.split_at(at + word.len()))
        {
            let stories = rest.split(')').next().unwrap_or_default();
            names.extend(stories.split(',').map(|name| name.trim().to_owned()));
        }
    }
    names
}

/// Every document of the repository.
fn documents() -> Vec<PathBuf> {
    let root = workspace_root();
    ["", "docs", "docs/decisions"]
        .iter()
        .flat_map(|folder| fs::read_dir(root.join(folder)).into_iter().flatten().flatten())
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect()
}

/// What stands between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[test]
fn every_test_that_a_document_names_exists() {
    let tests = tests();
    assert!(tests.contains("every_test_that_a_document_names_exists"), "the search finds this very test");
    let mut missing = Vec::new();
    for document in documents() {
        let text = fs::read_to_string(&document).expect("a readable document");
        for (at, word) in text.match_indices("Shown by") {
            let rest = &text[at + word.len()..];
            let sentence = rest.split("\n\n").next().unwrap_or(rest).split("\n- ").next().unwrap_or(rest);
            let named: Vec<&str> = quoted(sentence).collect();
            assert!(!named.is_empty(), "{}: \"Shown by\" names no test", document.display());
            missing.extend(
                named
                    .iter()
                    .filter(|name| !tests.contains(**name))
                    .map(|name| format!("{} names `{name}`, which is no test", document.display())),
            );
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

#[test]
fn every_cannot_names_its_test() {
    let threats = fs::read_to_string(workspace_root().join("docs/THREATS.md")).expect("docs/THREATS.md");
    let mut cannots = 0;
    for section in threats.split("**Cannot**").skip(1) {
        let list = section.split("\n\n").nth(1).unwrap_or_default();
        for item in list.split("\n- ").filter(|item| !item.trim().is_empty()) {
            assert!(item.contains("Shown by"), "no test shows this: {item}");
            cannots += 1;
        }
    }
    assert!(cannots > 10, "only {cannots} claims found");
}

#[test]
fn every_link_between_documents_leads_somewhere() {
    let mut broken = Vec::new();
    for document in documents() {
        let text = fs::read_to_string(&document).expect("a readable document");
        for (_, rest) in text.match_indices("](").map(|(at, word)| text.split_at(at + word.len())) {
            let link = rest.split(')').next().unwrap_or_default().split('#').next().unwrap_or_default();
            let folder = document.parent().expect("a document lies in a folder");
            if !link.is_empty() && !link.contains("://") && !folder.join(link).exists() {
                broken.push(format!("{} links to {link}", document.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}
