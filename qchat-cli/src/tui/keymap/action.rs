//! What a key can do: the name by which the configuration file speaks of it, and what the help says.

macro_rules! actions {
    ($($action:ident $id:literal $help:literal,)*) => {
        /// What a key can do.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub(in super::super) enum Action { $(#[doc = $help] $action,)* }

        impl Action {
            /// Every action.
            pub(in super::super) const ALL: &[Self] = &[$(Self::$action,)*];

            /// Its name in the configuration file.
            pub(in super::super) const fn id(self) -> &'static str {
                match self { $(Self::$action => $id,)* }
            }

            /// What the help says.
            pub(in super::super) const fn help(self) -> &'static str {
                match self { $(Self::$action => $help,)* }
            }
        }
    };
}

actions! {
    // Writing
    Send "send" "send the message",
    Newline "newline" "break the line",
    HistoryOlder "history-older" "an earlier message that you sent, to send again",
    HistoryNewer "history-newer" "back towards what you were writing",
    Editor "editor" "write in your own editor",
    NextCandidate "next-candidate" "complete the word, then the next candidate",
    PreviousCandidate "previous-candidate" "the candidate before",
    Attach "attach" "send a file",
    Preview "preview" "show or hide who will be able to read it",
    // Rooms
    NextRoom "next-room" "next room",
    PreviousRoom "previous-room" "previous room",
    NextUnread "next-unread" "next room with something unread",
    FilterRooms "filter-rooms" "find a room by typing",
    CreateRoom "create-room" "create a room",
    Direct "direct" "write to somebody alone",
    Invite "invite" "invite people to this room",
    Rename "rename" "give the room another name",
    Topic "topic" "say what the room is about",
    Leave "leave" "leave the room (asks first)",
    Poll "poll" "ask a question with options",
    Accept "accept" "join the room (asks first)",
    Decline "decline" "decline (asks first)",
    // Timeline
    PageUp "page-up" "older messages",
    PageDown "page-down" "newer messages",
    ToOldest "oldest" "oldest loaded message",
    ToNewest "newest" "newest message",
    SelectMessage "select" "choose a message, to do something with it",
    Up "up" "up",
    Down "down" "down",
    First "first" "first",
    Last "last" "last",
    Reply "reply" "answer it",
    EditMessage "edit" "edit it",
    DeleteHere "delete-here" "delete it from this device (asks first)",
    Retract "delete-everywhere" "delete it for everyone (asks first)",
    React "react" "react, or take a reaction back",
    Copy "copy" "copy its text",
    CopyCode "copy-code" "copy its code alone",
    Pin "pin" "keep it in view, or no more",
    SaveFile "save-file" "save its file to the downloads",
    OpenFile "open-file" "save its file and open it",
    Original "original" "go to the message that it answers",
    Back "back" "go back from there",
    Vote "vote" "vote for the option of that number, or take the vote back",
    ClosePoll "close-poll" "let a poll of yours take no more votes",
    Details "details" "who has got and read it, and where it stands",
    Resend "give-up" "give up sending it, while it waits",
    ToComposer "write" "back to writing",
    // Everywhere
    Palette "palette" "go to a room, a person or a command by typing",
    Search "search" "search all rooms",
    Members "members" "members and trust",
    Keys "keys" "keys, devices and backups",
    SecurityLog "security-log" "what happened to the account",
    Quantum "quantum" "quantum jobs and the pool",
    Transfers "transfers" "files on their way, and what waits to be sent",
    Connection "connection" "the connection",
    Settings "settings" "settings",
    Help "help" "this help, and back",
    Quit "quit" "quit",
    // Answers
    Dismiss "dismiss" "put away what is reported, cancel",
    Confirm "yes" "yes",
    Refuse "no" "no",
    Submit "submit" "go ahead",
    Complete "complete" "complete the word",
    Choose "choose" "take what is chosen",
    Other "other" "the other thing that can be done there",
}
