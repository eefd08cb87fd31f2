//! The command line: what it prints, and its exit codes.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Output},
};

fn qchatd(dir: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_qchatd"))
        .args(args)
        .env_clear()
        // Where a program that counts its covered lines puts its counts.
        .envs(std::env::var_os("LLVM_PROFILE_FILE").map(|file| ("LLVM_PROFILE_FILE", file)))
        .env("QCHATD_DATA_DIR", dir.join("data"))
        .env("QCHATD_LISTEN", "127.0.0.1:0")
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn exit_codes_are_those_of_the_help() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("q.toml");
    fs::write(&file, "nonsense = 1").unwrap();
    let file = file.to_str().unwrap();
    let rows: [(&[&str], i32, &str); 15] = [
        (&["--help"], 0, ""),
        (&[], 2, "Usage"),
        (&["dance"], 2, "dance"),
        (&["serve", "--queue", "many"], 2, "many"),
        (&["check", "--queue", "0"], 2, "queue"),
        (&["check", "--config", file], 2, "nonsense"),
        (&["check", "--database", "mysql://x"], 2, "sqlite:///"),
        (&["serve", "--listen", "0.0.0.0:0"], 2, "--insecure-http"),
        (&["check"], 3, "no such file"),
        (&["check", "--database", "postgres://u:canary@127.0.0.1:1/d"], 3, "cannot be reached"),
        (&["man", "--dir", "/proc/nowhere"], 1, "/proc/nowhere"),
        (&["admin", "seed", "--accounts", "0"], 2, "one account"),
        (&["admin", "seed", "--members", "0"], 2, "one member"),
        (&["admin", "seed", "--size", "10000000"], 2, "payload"),
        (&["migrate"], 0, ""),
    ];
    for (args, code, says) in rows {
        let output = qchatd(dir.path(), args);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {error}");
        assert!(error.contains(says) && !error.contains("canary"), "{args:?}: {error}");
    }
    // After `migrate` the check is content, and what was made is this user's alone.
    let output = qchatd(dir.path(), &["check"]);
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()));
    assert!(text(&output.stdout).contains("durable, current"));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&dir.path().join("data")), 0o700);
    assert_eq!(mode(&dir.path().join("data/qchatd.sqlite3")), 0o600);
}

#[test]
fn a_database_without_the_schema_is_not_current() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("data")).unwrap();
    fs::write(dir.path().join("data/qchatd.sqlite3"), "").unwrap();
    let output = qchatd(dir.path(), &["check"]);
    assert_eq!(output.status.code(), Some(6));
    assert!(text(&output.stderr).contains("qchatd migrate"));
}

#[test]
fn key_files_that_others_may_read_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("data")).unwrap();
    let key = dir.path().join("data/pepper.key");
    fs::write(&key, [7; 32]).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let output = qchatd(dir.path(), &["serve"]);
    assert_eq!(output.status.code(), Some(6));
    assert!(text(&output.stderr).contains("chmod 600"));
}

#[test]
fn the_configuration_is_shown_without_its_password() {
    let dir = tempfile::tempdir().unwrap();
    let database = "postgres://me:secret@db/q?sslmode=require&password=secret";
    let output = qchatd(dir.path(), &["config", "show", "--explain", "--json", "--database", database]);
    let shown = text(&output.stdout);
    assert!(!shown.contains("secret"), "{shown}");
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    let settings = &shown["settings"];
    assert_eq!(settings["database"]["value"], "postgres://me@db/q");
    assert_eq!(settings["database"]["from"], "--database");
    assert_eq!(settings["listen"]["from"], "QCHATD_LISTEN");
    assert_eq!(settings["queue"]["from"], "default");
}

/// The pages in a directory that are this program's, by name.
fn pages(dir: &Path) -> BTreeMap<String, String> {
    let pages = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
    let own = pages.filter(|page| page.file_name().to_str().unwrap().starts_with("qchatd"));
    own.map(|page| (page.file_name().into_string().unwrap(), fs::read_to_string(page.path()).unwrap()))
        .collect()
}

#[test]
fn the_manual_in_the_repository_is_the_one_that_the_program_writes() {
    let dir = tempfile::tempdir().unwrap();
    let output = qchatd(dir.path(), &["man", "--dir", dir.path().join("man").to_str().unwrap()]);
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()));
    let written = pages(&dir.path().join("man"));
    let kept = pages(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../man"));
    assert_eq!(
        kept.keys().collect::<Vec<_>>(),
        written.keys().collect::<Vec<_>>(),
        "write it anew: just man"
    );
    for (page, text) in &written {
        assert!(kept[page] == *text, "write {page} anew: just man");
    }
    assert!(written["qchatd.8"] == text(&qchatd(dir.path(), &["man"]).stdout));
}

#[test]
fn the_page_of_the_configuration_file_has_every_key_with_its_default() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("q.toml");
    fs::write(&file, "no_such_key = 1").unwrap();
    let said = text(&qchatd(dir.path(), &["check", "--config", file.to_str().unwrap()]).stderr);
    // The refusal names the keys that there are.
    let known: BTreeSet<&str> =
        said.split('`').skip(1).step_by(2).filter(|key| *key != "no_such_key").collect();
    assert!(known.contains("listen"), "{said}");

    let page =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../man/qchatd.toml.5")).unwrap();
    // A key stands before what its value looks like; all up to the next one is about it.
    let heads = page.lines().filter_map(|line| line.strip_prefix("\\fB")?.split_once("\\fR = "));
    let described: BTreeSet<&str> = heads.map(|(key, _)| key).collect();
    assert_eq!(described, known);
    let shown = Command::new(env!("CARGO_BIN_EXE_qchatd"))
        .args(["config", "show", "--json"])
        .env_clear()
        .env("HOME", dir.path())
        .output()
        .unwrap();
    let shown: serde_json::Value = serde_json::from_slice(&shown.stdout).unwrap();
    for key in described {
        let entry = page.split(&format!("\\fB{key}\\fR = ")).nth(1).unwrap();
        assert!(entry.contains(&format!("\\fBQCHATD_{}\\fR", key.to_uppercase())), "{entry}");
        let default = entry.split("Default: ").nth(1).and_then(|rest| rest.split(". Env").next()).unwrap();
        let value = shown["settings"][key].as_str().unwrap();
        // The others depend on the machine.
        let fixed =
            !["data_dir", "database", "files", "node_name", "pepper_file", "token_key_file", "workers"]
                .contains(&key);
        if fixed {
            assert_eq!(default.replace("none", ""), value, "{key}");
        }
    }
}
