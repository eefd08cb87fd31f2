//! The screen stops and goes on as the shell wants it, and the terminal is the shell's meanwhile.

use std::process::Command;

use qchat_tests::client::Client;

use crate::terminal::Terminal;

/// The screen of the sample data, as the job of a shell that says when it is stopped, and lets it go on after a line.
fn job(client: &Client, arguments: &[&str]) -> Command {
    let screen = client.command(arguments);
    let mut command = Command::new("bash");
    // The job's process is told to whoever sends it signals.
    let script = "set -m\ntimes=0\n\"$0\" \"$@\"\nwhile [ -n \"$(jobs)\" ]; do\n  \
                  stty -a | tr ';' '\\n' | grep -o -w -e icanon -e -icanon\n  times=$((times + 1))\n  echo \"stopped $times: $(jobs -p) here\"\n  \
                  read -r line\n  fg > /dev/null\ndone\necho \"it has ended with $?\"";
    command.args(["-c", script]).arg(screen.get_program()).args(screen.get_args());
    command.env_clear().envs(screen.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.env("COLORFGBG", "15;0").current_dir(screen.get_current_dir().expect("a directory"));
    command
}

/// Waits until the shell has the terminal for the so manieth time, and says which process it has stopped. What it said before stands there
/// again before it has the terminal.
fn stopped(screen: &mut Terminal, times: usize) -> String {
    let mut process = String::new();
    screen.wait_for("a shell", |screen| {
        let said =
            screen.rsplit_once(&format!("stopped {times}: ")).and_then(|(_, rest)| rest.split_once(" here"));
        process = said.map(|(process, _)| process.to_owned()).unwrap_or_default();
        !process.is_empty()
    });
    let modes = screen.frame(0).1;
    assert!(modes.starts_with("false false") && modes.contains(" None "), "{modes}");
    let said = screen.contents();
    assert!(said.contains("icanon") && !said.contains("-icanon") && !said.contains("dora"), "{said}");
    process
}

fn send(signal: &str, process: &str) {
    let sent = Command::new("kill").args([&format!("-{signal}"), process]).status().expect("kill runs");
    assert!(sent.success());
}

#[test]
fn a_screen_that_is_stopped_gives_the_terminal_back_and_takes_it_again() {
    let nobody = Client::new("http://127.0.0.1:9", "nobody");
    let mut screen = Terminal::open(&job(&nobody, &["--demo"]), 24, 80);
    screen.shows("dora invites you");
    screen.press("\t\t\tbegun");
    screen.shows("> begun");
    let modes = screen.frame(0).1;
    // By its key, by the palette, and by whoever sends the signal.
    let palette = "\u{10}stop for a while\r";
    let mut process = String::new();
    for (before, key) in ["\u{1a}", palette, "", "\u{1a}"].into_iter().enumerate() {
        if key.is_empty() {
            send("TSTP", &process);
        } else {
            screen.press(key);
        }
        process = stopped(&mut screen, before + 1);
        screen.press("\r");
        screen.wait_for("the screen", |screen| screen.contains("> begun") && !screen.contains("stopped"));
        assert_eq!(screen.frame(0).1, modes);
    }
    // Keys are keys again.
    screen.press("!");
    screen.shows("> begun!");
    screen.press("\u{11}");
    screen.shows("it has ended with 0");
    screen.ends_in_order();
}

#[test]
fn who_has_no_shell_is_not_stopped_for_ever() {
    let nobody = Client::new("http://127.0.0.1:9", "nobody");
    let mut command = nobody.command(&["--demo"]);
    command.env("COLORFGBG", "15;0");
    let mut screen = Terminal::open(&command, 24, 80);
    screen.shows("dora invites you");
    screen.press("\u{1a}");
    screen.shows("There is no shell here");
    screen.press("\u{11}");
    screen.ends_in_order();
}

#[test]
fn a_first_run_that_is_told_to_end_gives_the_terminal_back_and_has_made_nothing() {
    let alice = Client::new("http://127.0.0.1:9", "alice");
    for signal in ["TERM", "HUP", "INT"] {
        let mut screen = Terminal::open(&alice.asked_for_all(), 24, 80);
        screen.shows("There is no account on this machine yet");
        screen.press("\r");
        screen.shows("Which server?");
        screen.signal(signal);
        screen.ends_in_order();
        assert!(!alice.data_directory().exists(), "nothing is half made");
    }
}
