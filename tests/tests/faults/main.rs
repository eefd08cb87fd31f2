//! The fault harness, briefly: every scene, a few rounds, always the same ones. Long runs are `just faults`.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

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
        fn every_scene_of_a_short_run_is_told() {
            let told = [$($scene),+];
            let all = scenes().into_iter().filter(|scene| scene.rounds > 0);
            let all: Vec<&str> = all.map(|scene| scene.name).collect();
            assert_eq!(all, told);
        }
    };
}

scenes! {
    killed_at_any_moment = "kill",
    migrations_are_killed = "migration",
    postgres_is_stopped = "postgres",
    postgres_fails_over = "failover",
    commits_are_cut = "commits",
    answers_are_cut = "answers",
    the_disk_is_full = "disk",
    clients_vanish = "vanished",
    clients_do_not_read = "slow",
    a_crowd_comes_at_once = "crowd",
    requests_never_end = "slowloris",
    frames_are_too_large = "oversize",
    no_file_can_be_opened = "descriptors",
    redis_is_lost = "redis",
    nodes_are_lost = "nodes",
    the_clock_jumps = "clock",
    a_node_stands_still = "stalled",
}

fn keeps_the_promise(scene: &str) {
    let told = Command::new(env!("CARGO_BIN_EXE_qchat-faults"))
        .args(["--quiet", "--seed", "1", "--crowd", "200", "--scene", scene])
        .output()
        .expect("the fault harness");
    let (said, failed) = (String::from_utf8_lossy(&told.stdout), String::from_utf8_lossy(&told.stderr));
    assert_eq!(told.status.code(), Some(0), "{said}\n{failed}");
    assert!(said.contains(": kept."), "{said}\n{failed}");
}
