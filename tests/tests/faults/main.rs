//! The fault harness, briefly: every scene, a few rounds, always the same ones. Long runs are `just faults`.

use std::process::Command;

use qchat_tests::faults::arguments::scenes;

/// Each scene's test, all at once as far as the machine goes.
macro_rules! scenes {
    ($($test:ident = $scene:literal),+ $(,)?) => {
        $(#[test]
        fn $test() {
            keeps_the_promise($scene);
        })+

        #[test]
        fn every_scene_is_told() {
            let told = [$($scene),+];
            let all: Vec<&str> = scenes().iter().map(|scene| scene.name).collect();
            assert_eq!(all, told);
        }
    };
}

scenes! {
    killed_at_any_moment = "kill",
    postgres_is_stopped = "postgres",
    commits_are_cut = "commits",
    answers_are_cut = "answers",
    the_disk_is_full = "disk",
    clients_vanish = "vanished",
    clients_do_not_read = "slow",
    two_thousand_come_at_once = "crowd",
    requests_never_end = "slowloris",
    frames_are_too_large = "oversize",
    no_file_can_be_opened = "descriptors",
    redis_is_lost = "redis",
    nodes_are_lost = "nodes",
    the_clock_jumps = "clock",
}

fn keeps_the_promise(scene: &str) {
    let told = Command::new(env!("CARGO_BIN_EXE_qchat-faults"))
        .args(["--quiet", "--seed", "1", "--scene", scene])
        .output()
        .expect("the fault harness");
    let (said, failed) = (String::from_utf8_lossy(&told.stdout), String::from_utf8_lossy(&told.stderr));
    assert_eq!(told.status.code(), Some(0), "{said}\n{failed}");
    assert!(said.contains(": kept."), "{said}\n{failed}");
}
