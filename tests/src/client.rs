//! The built `qchat` as a user runs it: one profile in a directory of its own, every answer recorded.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Mutex, PoisonError},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::process::{Output, Process};

/// A user with a profile.
pub struct Client {
    directory: TempDir,
    name: String,
    server: String,
    passphrase: String,
    said: Mutex<String>,
    unlocked: bool,
}

/// A message as `history --json` and `listen --json` give it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Message {
    /// Place in the room's log.
    pub seq: u64,
    /// Its id.
    pub id: String,
    /// Its sender's name.
    pub sender: String,
    /// Its text.
    pub body: String,
}

impl Client {
    /// A user who has not registered yet.
    pub fn new(server: &str, name: &str) -> Self {
        let directory = TempDir::with_prefix("qchat-").expect("a temporary directory");
        let passphrase = format!("correct-{name}-battery-staple-{}", std::process::id());
        let client = Self {
            directory,
            name: name.to_owned(),
            server: server.to_owned(),
            passphrase,
            said: Mutex::new(String::new()),
            unlocked: false,
        };
        fs::write(client.passphrase_file(), format!("{}\n", client.passphrase)).expect("a passphrase file");
        client
    }

    /// A registered user.
    pub fn register(server: &str, name: &str) -> Self {
        let client = Self::new(server, name);
        let recovery = client.recovery_file();
        client.ok(&["register", name, "--recovery-file", recovery.to_str().expect("a UTF-8 path")]);
        client
    }

    /// The user's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The user's passphrase.
    pub fn passphrase(&self) -> &str {
        &self.passphrase
    }

    /// Where the profile's data lies; nothing else does.
    pub fn data_directory(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// The file that `--passphrase-file` names.
    pub fn passphrase_file(&self) -> PathBuf {
        self.directory.path().join("passphrase")
    }

    /// The file that `register` wrote the recovery words to.
    pub fn recovery_file(&self) -> PathBuf {
        self.directory.path().join("recovery")
    }

    /// Another file beside the data, for a test's own use.
    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Talks to the daemon by another address from here on: through a proxy, say.
    pub fn set_server(&mut self, server: &str) {
        server.clone_into(&mut self.server);
    }

    /// Keeps the profile's key warm, so that each command does not derive it anew. It is forgotten at the end.
    pub fn unlock(&mut self) {
        self.ok(&["unlock", "--for", "900"]);
        self.unlocked = true;
    }

    /// Everything that this user's commands have printed and said so far.
    pub fn said(&self) -> String {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A command, ready to start.
    pub fn command(&self, arguments: &[&str]) -> Command {
        self.command_with(&self.passphrase_file(), arguments)
    }

    /// A command for a terminal, where it may ask.
    pub fn interactive(&self, arguments: &[&str]) -> Command {
        let silent = self.command(arguments);
        let mut command = Command::new(silent.get_program());
        command.args(silent.get_args().filter(|argument| *argument != "--no-input"));
        command.env_clear().envs(silent.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.current_dir(self.directory.path());
        command
    }

    /// The screen, started by somebody who is asked for the passphrase as well.
    pub fn asked_for_all(&self) -> Command {
        let told = self.interactive(&[]);
        let mut command = Command::new(told.get_program());
        let file = self.passphrase_file();
        command.args(
            told.get_args()
                .filter(|argument| *argument != "--passphrase-file" && *argument != file.as_os_str()),
        );
        command.env_clear().envs(told.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.current_dir(self.directory.path());
        command
    }

    fn command_with(&self, passphrase_file: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(crate::programs::qchat());
        command
            .env_clear()
            // The last one: where a program that counts its covered lines puts its counts.
            .envs(
                ["PATH", "RUST_BACKTRACE", "LLVM_PROFILE_FILE"]
                    .iter()
                    .filter_map(|name| Some((name, std::env::var_os(name)?))),
            )
            // Whatever the program looks for in a home, it finds nothing of the machine's.
            .env("HOME", self.directory.path())
            .env("LANG", "C.UTF-8")
            // The least: thousands of times a vault is opened.
            .env("QCHAT_VAULT_MEMORY", "64")
            .current_dir(self.directory.path())
            .arg("--data-dir")
            .arg(self.data_directory())
            .args(["--profile", &self.name, "--server", &self.server, "--no-input", "--passphrase-file"])
            .arg(passphrase_file)
            .args(arguments);
        command
    }

    /// Runs a command to its end.
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.record(Process::start(&mut self.command(arguments)).finish())
    }

    /// Runs a command to its end that finds `input` on its standard input.
    pub fn run_with_input(&self, arguments: &[&str], input: &[u8]) -> Output {
        self.record(Process::start_with_input(&mut self.command(arguments), input).finish())
    }

    /// Runs a command with another passphrase.
    pub fn run_with_passphrase(&self, passphrase: &str, arguments: &[&str]) -> Output {
        let file = self.file("other-passphrase");
        fs::write(&file, passphrase).expect("a passphrase file");
        self.record(Process::start(&mut self.command_with(&file, arguments)).finish())
    }

    /// Runs a command that has to succeed, and gives what it printed.
    #[track_caller]
    pub fn ok(&self, arguments: &[&str]) -> Vec<String> {
        self.run(arguments).expect_code(0).lines
    }

    /// Runs a command that has to fail with this code, and gives what it said on standard error.
    #[track_caller]
    pub fn fails(&self, code: i32, arguments: &[&str]) -> String {
        self.run(arguments).expect_code(code).stderr
    }

    /// Runs a command with `--json`, which has to succeed.
    #[track_caller]
    pub fn json(&self, arguments: &[&str]) -> Vec<Value> {
        self.run(&[arguments, &["--json"]].concat()).expect_code(0).json()
    }

    /// Starts a command that goes on.
    pub fn start(&self, arguments: &[&str]) -> Process {
        Process::start(&mut self.command(arguments))
    }

    /// Starts a command that is told things as it goes on.
    pub fn start_to_be_told(&self, arguments: &[&str]) -> Process {
        Process::start_to_be_told(&mut self.command(arguments))
    }

    /// Another machine of the same user, who has the same passphrase there; nothing is on it yet.
    #[must_use]
    pub fn another_machine(&self) -> Self {
        Self::new(&self.server, &self.name)
    }

    /// Another machine of this user, once it is a device of the same account: both commands are run, and both users compare
    /// the codes.
    #[must_use]
    pub fn link(&self, device: &str) -> Self {
        let new = self.another_machine();
        let mut linking = new.start_to_be_told(&["device", "link", &self.name, "--name", device, "--json"]);
        let (code, at_old) = compare(self, &mut linking);
        assert_eq!(code, at_old);
        linking.tell(&code);
        self.ok(&["device", "approve", "--yes", "--code", &code]);
        drop(linking.finish().expect_code(0));
        new
    }

    /// Starts `listen --json` on a room: it prints what the profile does not hold yet when it starts.
    pub fn listen(&self, room: &str) -> Process {
        self.start(&["listen", room, "--json"])
    }

    /// The texts of a room, oldest first; notices are left out.
    #[track_caller]
    pub fn history(&self, room: &str) -> Vec<Message> {
        self.json(&["history", room, "--limit", "10000"]).iter().filter_map(Message::from_json).collect()
    }

    /// The bodies alone.
    #[track_caller]
    pub fn bodies(&self, room: &str) -> Vec<String> {
        self.history(room).into_iter().map(|message| message.body).collect()
    }

    fn record(&self, output: Output) -> Output {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        for text in output.lines.iter().chain([&output.stderr]) {
            said.push_str(text);
            said.push('\n');
        }
        output
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        if self.unlocked {
            drop(self.command(&["lock"]).stdout(Stdio::null()).stderr(Stdio::null()).status());
        }
    }
}

impl Message {
    /// Reads a text message out of its JSON; `None` for a notice or an unknown type.
    pub fn from_json(value: &Value) -> Option<Self> {
        assert_eq!(value["v"], 1, "{value}");
        (value["type"] == "text").then(|| Self {
            seq: value["seq"].as_u64().unwrap_or_default(),
            id: value["id"].as_str().unwrap_or_default().to_owned(),
            sender: value["sender"].as_str().unwrap_or_default().to_owned(),
            body: value["body"].as_str().unwrap_or_default().to_owned(),
        })
    }

    /// Reads a text message out of a line of `listen --json`.
    pub fn from_line(line: &str) -> Option<Self> {
        Self::from_json(&serde_json::from_str(line).ok()?)
    }
}

/// What the device shows that is to be linked and, after that, the one that is to let it in, where nobody is asked.
pub fn compare(old: &Client, linking: &mut Process) -> (String, String) {
    // It is asked once, so that the new device has something to show.
    let asked = old.run(&["device", "approve", "--json"]).expect_code(6);
    let code = |value: &Value| value["code"].as_str().map(ToOwned::to_owned);
    let at_old = asked.json().first().and_then(code).expect("a code at the old device");
    let at_new = linking.wait_for("code", |line| code(&serde_json::from_str(line).ok()?));
    (at_new, at_old)
}

/// A room with its members: the first one creates it and invites the others, who join.
pub fn room(name: &str, members: &[&Client]) {
    let (creator, invited) = members.split_first().expect("a room has a creator");
    creator.ok(&["room", "create", name]);
    if !invited.is_empty() {
        let mut invite = vec!["room", "invite", name];
        invite.extend(invited.iter().map(|client| client.name()));
        creator.ok(&invite);
    }
    for client in invited {
        client.ok(&["room", "join", name]);
    }
}
