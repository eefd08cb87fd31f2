//! The directions in which the parts may know each other, held against every source file and manifest.

use std::{fs, path::Path};

use qchat_tests::{
    source::{module_of, named_paths, rust_files},
    workspace_root,
};

/// A path that may stand in few places only.
struct Confined {
    what: &'static [&'static str],
    /// Files and folders below the workspace that may name it.
    to: &'static [&'static str],
}

const CONFINED: &[Confined] = &[
    Confined { what: &["warp"], to: &["qchatd/src/http", "qchatd/src/socket", "qchatd/src/server"] },
    Confined {
        what: &["diesel", "diesel_migrations"],
        to: &["qchatd/src/store", "qchatd/tests", "qchat-cli/src/store", "tests/src/database.rs"],
    },
    Confined { what: &["object_store"], to: &["qchatd/src/blobs.rs"] },
    Confined { what: &["aead_stream"], to: &["qchat-proto/src/file/segment.rs"] },
    Confined { what: &["redis"], to: &["qchatd/src/bus/redis.rs", "qchatd/src/bus/redis"] },
    Confined {
        what: &["mls_rs", "mls_rs_core", "mls_rs_codec"],
        to: &[
            "qchat-proto/src/mls",
            "qchat-proto/tests",
            "tests",
            "qchat-cli/src/store/mls.rs",
            "qchat-cli/src/store/mls",
        ],
    },
    Confined {
        what: &["akd", "akd_core"],
        to: &[
            "qchat-proto/src/transparency",
            "qchat-proto/tests",
            "qchat-proto/fuzz/src/directory.rs",
            "qchatd/src/service/directory",
        ],
    },
    Confined {
        what: &["ratatui", "ratatui_textarea"],
        to: &["qchat-cli/src/tui", "qchat-cli/benches/screen.rs"],
    },
    Confined { what: &["image"], to: &["qchat-cli/src/tui", "qchat-cli/src/engine/pictures.rs"] },
    Confined { what: &["ratatui_image"], to: &["qchat-cli/src/tui"] },
    Confined { what: &["fluent_bundle", "unic_langid"], to: &["qchat-cli/src/tui/words"] },
    Confined {
        what: &["crossterm"],
        to: &["qchat-cli/src/tui", "qchat-cli/src/cli", "qchat-cli/benches/screen.rs"],
    },
    Confined {
        what: &["qchatd", "qchat_cli"],
        to: &["qchatd/src", "qchat-cli/src", "qchat-cli/tests", "qchat-cli/benches", "tests"],
    },
];

/// What the sources below a folder may not name.
struct Without {
    folder: &'static str,
    paths: &'static [&'static str],
    /// Folders in it that may name some of them all the same.
    but: &'static [(&'static str, &'static [&'static str])],
}

const NO_IO: &[&str] = &[
    "tokio",
    "tokio_util",
    "tokio_tungstenite",
    "diesel",
    "reqwest",
    "warp",
    "std::fs",
    "std::net",
    "std::process",
    "std::time::SystemTime",
    "std::time::Instant",
    "time::OffsetDateTime::now_utc",
];

const WITHOUT: &[Without] = &[
    Without { folder: "qchat-proto/src", paths: NO_IO, but: &[] },
    Without {
        folder: "qchat-quantum/src",
        paths: NO_IO,
        but: &[
            ("qchat-quantum/src/etsi014", &["reqwest"]),
            (
                "qchat-quantum/src/ibm",
                &["reqwest", "tokio", "std::net", "std::time::Instant", "std::time::SystemTime"],
            ),
        ],
    },
    Without {
        folder: "qchat-manual/src",
        paths: &["tokio", "std::net", "std::process", "qchat_proto"],
        but: &[],
    },
    Without { folder: "qchatd/src", paths: &["qchat_quantum", "qchat_cli"], but: &[] },
    Without { folder: "qchat-cli/src", paths: &["qchatd"], but: &[] },
    Without { folder: "qchat-cli/src/tui", paths: &["crate::net", "crate::store"], but: &[] },
    Without { folder: "qchat-cli/src/engine", paths: &["crate::tui", "crate::cli"], but: &[] },
    Without {
        folder: "qchat-cli/src/store",
        paths: &["crate::net", "crate::engine", "crate::tui", "crate::cli"],
        but: &[],
    },
    Without {
        folder: "qchat-cli/src/net",
        paths: &["crate::store", "crate::engine", "crate::tui", "crate::cli"],
        but: &[],
    },
];

/// The dependencies that a manifest may have among the workspace's own packages, and those it may never have.
const MANIFESTS: &[(&str, &[&str], &[&str])] = &[
    ("qchat-proto", &[], &["tokio", "diesel", "reqwest", "warp", "tokio-tungstenite", "time", "rusqlite"]),
    ("qchat-quantum", &["qchat-proto"], &["diesel", "warp", "tokio-tungstenite"]),
    ("qchat-manual", &[], &["tokio", "diesel", "reqwest", "warp", "serde"]),
    ("qchatd", &["qchat-manual", "qchat-proto"], &["ratatui", "mls-rs", "reqwest"]),
    ("qchat-cli", &["qchat-manual", "qchat-proto", "qchat-quantum"], &["warp", "redis", "pq-sys"]),
];

/// What tests and benchmarks hold beside the product's signatures, and no program may: round-3 Dilithium, and libraries
/// of ML-DSA other than the one (decision 1).
const NOT_IN_PROGRAMS: [&str; 5] =
    ["libcrux-ml-dsa", "ml-dsa", "pqcrypto-dilithium", "pqcrypto-mldsa", "pqcrypto-traits"];

/// Whether `path` is `rule` or something inside it.
fn within(path: &[String], rule: &str) -> bool {
    let rule: Vec<&str> = rule.split("::").collect();
    path.len() >= rule.len() && rule.iter().zip(path).all(|(rule, part)| rule == part)
}

/// Whether `file` is below `place`, both relative to the workspace.
fn below(file: &Path, place: &str) -> bool {
    file.starts_with(place)
}

/// Every rule that one file breaks, in words.
fn broken_rules(file: &Path, source: &str) -> Vec<String> {
    let mut parts = file.iter();
    let package = parts.next().unwrap_or_default().to_string_lossy().replace('-', "_");
    let inside = Path::new(parts.next().unwrap_or_default());
    let module = module_of(
        file.strip_prefix(Path::new(file.iter().next().unwrap_or_default()).join(inside)).unwrap_or(file),
    );
    let mut broken = Vec::new();
    for path in named_paths(source, &package, &module) {
        let shown = path.join("::");
        for rule in CONFINED {
            if rule.what.iter().any(|what| within(&path, what))
                && !rule.to.iter().any(|place| below(file, place))
            {
                broken.push(format!("{} names {shown}, which belongs to {:?}", file.display(), rule.to));
            }
        }
        for rule in WITHOUT {
            let but =
                |what: &str| rule.but.iter().any(|(place, may)| below(file, place) && may.contains(&what));
            if below(file, rule.folder) && rule.paths.iter().any(|what| within(&path, what) && !but(what)) {
                broken.push(format!("{} names {shown}, which {} may not know", file.display(), rule.folder));
            }
        }
    }
    broken
}

#[test]
fn sources_keep_to_the_directions() {
    let root = workspace_root();
    let mut files = 0;
    let mut broken = Vec::new();
    for package in ["qchat-manual", "qchat-proto", "qchat-quantum", "qchatd", "qchat-cli", "tests"] {
        for path in rust_files(&root.join(package)) {
            let Ok(source) = fs::read_to_string(&path) else { panic!("cannot read {}", path.display()) };
            let file = path.strip_prefix(&root).unwrap_or(&path);
            broken.extend(broken_rules(file, &source));
            files += 1;
        }
    }
    broken.sort();
    broken.dedup();
    assert!(files > 20, "only {files} sources found below {}", root.display());
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn manifests_keep_to_the_directions() {
    const OWN: [&str; 6] =
        ["qchat-manual", "qchat-proto", "qchat-quantum", "qchatd", "qchat-cli", "qchat-tests"];
    for (package, own, never) in MANIFESTS {
        let path = workspace_root().join(package).join("Cargo.toml");
        let Ok(manifest) = fs::read_to_string(&path) else { panic!("cannot read {}", path.display()) };
        let dependencies = dependencies(&manifest);
        for dependency in &dependencies {
            assert!(!never.contains(&dependency.as_str()), "{package} depends on {dependency}");
            assert!(!NOT_IN_PROGRAMS.contains(&dependency.as_str()), "{package} depends on {dependency}");
            assert!(
                !OWN.contains(&dependency.as_str()) || own.contains(&dependency.as_str()),
                "{package} depends on {dependency}"
            );
        }
    }
}

/// The names under `[dependencies]`; what only tests use does not count.
fn dependencies(manifest: &str) -> Vec<String> {
    let mut inside = false;
    let mut names = Vec::new();
    for line in manifest.lines().map(str::trim) {
        if let Some(header) = line.strip_prefix('[') {
            let header = header.trim_end_matches(']');
            inside = header == "dependencies" || header.ends_with(".dependencies");
            if let Some(name) = header.strip_prefix("dependencies.") {
                names.push(name.to_owned());
            }
        } else if inside && !line.starts_with('#') {
            names.extend(
                line.split(['.', '=', ' ']).next().filter(|name| !name.is_empty()).map(str::to_owned),
            );
        }
    }
    names
}

#[test]
fn a_broken_direction_is_seen() {
    for (file, source, broken) in [
        ("qchatd/src/service/rooms.rs", "use warp::Filter;", true),
        ("qchatd/src/http/rooms.rs", "use warp::Filter;", false),
        ("qchatd/src/service/rooms.rs", "fn f(c: &mut diesel::SqliteConnection) {}", true),
        ("qchatd/src/hub.rs", "use redis::Client;", true),
        ("qchatd/src/hub.rs", "use qchat_quantum::Pool;", true),
        ("qchat-proto/src/session/inbox.rs", "use mls_rs::Client;", true),
        ("qchat-proto/src/mls/group.rs", "use mls_rs::Client;", false),
        ("qchat-proto/src/ids.rs", "use std::{fmt, fs};", true),
        ("qchat-proto/src/ids.rs", "fn now() { std::time::Instant::now(); }", true),
        ("qchat-proto/src/ids.rs", "use std::time::Duration;", false),
        ("qchat-quantum/src/qrng/mod.rs", "use reqwest::Client;", true),
        ("qchat-quantum/src/etsi014/client.rs", "use reqwest::Client;", false),
        ("qchat-quantum/src/etsi014/client.rs", "use std::fs;", true),
        ("qchat-cli/src/tui/view.rs", "use crate::{engine, store};", true),
        ("qchat-cli/src/tui/view.rs", "use super::super::net::Api;", true),
        ("qchat-cli/src/tui/view.rs", "use crate::engine::Handle; use ratatui::Frame;", false),
        ("qchat-cli/src/cli/mod.rs", "use ratatui::Frame;", true),
        ("qchat-cli/src/engine/pictures.rs", "use image::RgbImage;", false),
        ("qchat-cli/src/engine/pictures.rs", "use ratatui_image::Image;", true),
        ("qchat-cli/src/engine/files/upload.rs", "use image::RgbImage;", true),
        ("qchat-cli/src/engine/actor.rs", "use crate::{net, store};", false),
        ("qchat-cli/src/engine/actor.rs", "use crate::tui::App;", true),
        ("qchat-cli/src/store/mod.rs", "use crate::net::Api;", true),
        ("qchat-cli/src/net/mod.rs", "use crate::store::Profile;", true),
        ("qchat-cli/src/net/mod.rs", "use qchatd::service;", true),
    ] {
        assert_eq!(!broken_rules(Path::new(file), source).is_empty(), broken, "{file}: {source}");
    }
}
