//! Rooms that run at random over a lossy, crashing link, from a seed: whatever happens on the way, once the link is fair
//! everything that was promised holds. The invariants have the names of the list in docs/PROTOCOL.md.
//!
//! `QCHAT_SEEDS=n` runs n seeds of every scene.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::{
    members::room,
    peer::Peer,
    relay::Relay,
    world::{Scene, Wish, World},
};
use Wish::{Add, Hurt, HurtAll, Leave, Remove, Rename, Restart, Say, Update, Withdraw};

const SCENES: &[Scene] = &[
    Scene {
        name: "talk",
        members: 2,
        wishes: &[&[Say, Say, Say], &[Say, Say, Say]],
        declines: None,
        further: None,
    },
    Scene { name: "pipe", members: 2, wishes: &[&[Say, Say, Say], &[Update]], declines: None, further: None },
    Scene {
        name: "bursts",
        members: 2,
        wishes: &[&[Say, Say, Say, Say, Say], &[Say, Update, Say, Update]],
        declines: None,
        further: None,
    },
    Scene {
        name: "race",
        members: 3,
        wishes: &[&[Update, Say], &[Update, Say], &[Say, Update]],
        declines: None,
        further: None,
    },
    Scene {
        name: "remove",
        members: 3,
        wishes: &[&[Say, Remove(1)], &[Say, Say], &[Say]],
        declines: None,
        further: None,
    },
    Scene {
        name: "cutoff",
        members: 2,
        wishes: &[&[Remove(1)], &[Say, Update]],
        declines: None,
        further: None,
    },
    Scene {
        name: "invite",
        members: 2,
        wishes: &[&[Add(2), Say], &[Update, Say], &[Say]],
        declines: None,
        further: None,
    },
    Scene {
        name: "invited twice",
        members: 2,
        wishes: &[&[Add(2), Say], &[Add(2), Say], &[Say]],
        declines: None,
        further: None,
    },
    Scene {
        name: "decline",
        members: 2,
        wishes: &[&[Add(2), Say, Remove(2), Say], &[Say, Update], &[Say]],
        declines: Some(2),
        further: None,
    },
    Scene {
        name: "withdraw",
        members: 2,
        wishes: &[&[Add(2), Say, Withdraw, Say], &[Say, Withdraw, Update], &[Say, Say]],
        declines: None,
        further: None,
    },
    Scene {
        name: "withdraw from a silent one",
        members: 2,
        wishes: &[&[Add(2), Say, Withdraw, Say], &[Say, Update, Say], &[Say]],
        declines: Some(2),
        further: None,
    },
    Scene {
        name: "leave",
        members: 3,
        wishes: &[&[Say, Update], &[Say, Leave], &[Update, Say]],
        declines: None,
        further: None,
    },
    Scene {
        name: "two leave",
        members: 4,
        wishes: &[&[Say], &[Leave], &[Say, Leave], &[Update, Say]],
        declines: None,
        further: None,
    },
    Scene {
        name: "leave and invite",
        members: 3,
        wishes: &[&[Add(3), Say], &[Leave], &[Say, Update], &[Say]],
        declines: None,
        further: None,
    },
    Scene {
        name: "remove and bring back",
        members: 3,
        wishes: &[&[Remove(2), Say, Add(2), Say], &[Say, Update, Say], &[Say, Say]],
        declines: None,
        further: None,
    },
    Scene {
        name: "no right to",
        members: 3,
        wishes: &[&[Say, Rename], &[Remove(2), Say, Rename, Say], &[Say]],
        declines: None,
        further: None,
    },
    Scene {
        name: "one cannot follow",
        members: 3,
        wishes: &[&[Say, Update, Say], &[Say, Hurt, Say], &[Say, Update, Say, Say]],
        declines: None,
        further: None,
    },
    Scene {
        name: "some cannot follow",
        members: 4,
        wishes: &[&[Say, Add(4), Say], &[Hurt, Say], &[Say, Say], &[Update, Say], &[Say]],
        declines: None,
        further: None,
    },
    Scene {
        name: "nobody can follow",
        members: 3,
        wishes: &[&[Say, Restart, Say, Restart], &[HurtAll, Say], &[Say, Update, Say]],
        declines: None,
        further: None,
    },
    Scene {
        name: "nobody can follow, and one wants to go",
        members: 4,
        wishes: &[&[Say, Add(4), Restart, Say], &[HurtAll, Say], &[Leave], &[Say, Update, Say], &[Say]],
        declines: None,
        further: None,
    },
    Scene {
        name: "another device",
        members: 2,
        wishes: &[&[Say, Add(2), Say], &[Update, Say, Add(2), Say], &[Say, Update, Say]],
        declines: None,
        further: Some(2),
    },
    Scene {
        name: "another device, and one that leaves",
        members: 3,
        wishes: &[&[Say, Add(3), Say], &[Say, Leave], &[Hurt, Say, Update], &[Say, Say]],
        declines: None,
        further: Some(3),
    },
    Scene {
        name: "another device that never comes",
        members: 2,
        wishes: &[&[Add(2), Say, Withdraw, Say], &[Say, Withdraw, Update], &[]],
        declines: Some(2),
        further: Some(2),
    },
    Scene {
        name: "everything",
        members: 3,
        wishes: &[&[Say, Add(3), Remove(2)], &[Update, Say, Leave], &[Say, Say], &[Say, Update]],
        declines: None,
        further: None,
    },
];

fn run(scene: &Scene, base: &(Relay, Vec<Peer>), seed: u64) {
    let mut world = World::new(scene, base, seed);
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        world.walk();
        world.trace.push_str(" |");
        world.close();
        world.judge();
    }));
    if let Err(cause) = outcome {
        let cause = cause
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| cause.downcast_ref::<&str>().map(|&text| text.to_owned()))
            .unwrap_or_default();
        panic!("scene {:?}, seed {seed}: {cause}\n{}", scene.name, world.trace);
    }
}

#[test]
fn rooms_keep_every_promise_over_a_lossy_crashing_link() {
    let seeds = std::env::var("QCHAT_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(4);
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some(scene) = SCENES.get(next.fetch_add(1, Ordering::Relaxed)) {
            let base = room(scene.members);
            for seed in 0..seeds {
                run(scene, &base, seed);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(work);
        }
    });
}
