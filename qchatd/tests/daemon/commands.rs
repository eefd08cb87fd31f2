//! The command line: what it prints, and its exit codes.

use std::{
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
    let rows: [(&[&str], i32, &str); 11] = [
        (&["--help"], 0, ""),
        (&[], 2, "Usage"),
        (&["dance"], 2, "dance"),
        (&["serve", "--queue", "many"], 2, "many"),
        (&["check", "--queue", "0"], 2, "queue"),
        (&["check", "--config", file], 2, "nonsense"),
        (&["check", "--database", "mysql://x"], 2, "sqlite:///"),
        (&["serve", "--listen", "0.0.0.0:0"], 2, "--insecure-http"),
        (&["check"], 3, "no such file"),
        (&["check", "--database", "postgres://u:secret@127.0.0.1:1/d"], 3, "cannot be reached"),
        (&["migrate"], 0, ""),
    ];
    for (args, code, says) in rows {
        let output = qchatd(dir.path(), args);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {error}");
        assert!(error.contains(says) && !error.contains("secret"), "{args:?}: {error}");
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
