//! Notifications of the desktop, over its session's D-Bus.

use std::time::Duration;

use notify_rust::Notification;
use qchat_proto::sanitize;
use tokio::time::timeout;

/// How long the desktop may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Characters of a text that a notification shows.
const SHOWN: usize = 200;

/// Shows a notification. What it says may be anybody's.
///
/// # Errors
/// That there is no desktop session, or nothing in it that shows notifications.
pub(crate) async fn notify(title: &str, text: &str) -> Result<(), String> {
    let mut notification = Notification::new();
    notification.appname("qchat").summary(&shortened(title)).body(&markup(text));
    match timeout(PATIENCE, notification.show_async()).await {
        Ok(shown) => shown.map(drop).map_err(|error| error.to_string()),
        Err(_) => Err("what shows notifications does not answer".to_owned()),
    }
}

fn shortened(text: &str) -> String {
    sanitize::line(text).chars().take(SHOWN).collect()
}

/// A text, for those who show it take it to be markup.
fn markup(text: &str) -> String {
    shortened(text).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_no_markup_and_no_control_sequence() {
        for (text, shown) in [
            ("tea & <b>cake</b>", "tea &amp; &lt;b&gt;cake&lt;/b&gt;"),
            ("\u{1b}]52;c;x\u{7}", "\\u{1b}]52;c;x\\u{7}"),
        ] {
            assert_eq!(markup(text), shown);
        }
        assert_eq!(markup(&"é".repeat(SHOWN + 1)).chars().count(), SHOWN);
    }
}
