//! A way to the daemon that breaks now and then.

use qchat_proto::wire::{frame::read_client_frame, pb::client_frame};
use qchat_tests::proxy::{Action, Direction};

/// Of every so many publishes, one is cut before it goes through and one after.
pub(crate) fn cuts(every: u32, before: u32, after: u32) -> impl FnMut(Direction, &[u8]) -> Action + Send {
    let mut published = 0_u32;
    move |direction, payload| {
        let frame = read_client_frame(payload.to_vec().into());
        if direction == Direction::ToDaemon && matches!(frame, Ok(client_frame::Body::Publish(_))) {
            published += 1;
            return match published % every {
                number if number == before => Action::CutBefore,
                number if number == after => Action::CutAfter,
                _ => Action::Pass,
            };
        }
        Action::Pass
    }
}
