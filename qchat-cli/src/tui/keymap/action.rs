//! What a key can do, each by the name that the configuration file has for it; what the help says of it is a message, `action-` and
//! this name.

macro_rules! actions {
    ($($action:ident $id:literal,)*) => {
        /// What a key can do.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub(in super::super) enum Action { $($action,)* }

        impl Action {
            /// Every action.
            pub(in super::super) const ALL: &[Self] = &[$(Self::$action,)*];

            /// Its name in the configuration file.
            pub(in super::super) const fn id(self) -> &'static str {
                match self { $(Self::$action => $id,)* }
            }
        }
    };
}

actions! {
    // Writing
    Send "send",
    Newline "newline",
    HistoryOlder "history-older",
    HistoryNewer "history-newer",
    Editor "editor",
    NextCandidate "next-candidate",
    PreviousCandidate "previous-candidate",
    Attach "attach",
    Preview "preview",
    // Rooms
    NextRoom "next-room",
    PreviousRoom "previous-room",
    NextUnread "next-unread",
    FilterRooms "filter-rooms",
    CreateRoom "create-room",
    Direct "direct",
    JoinByLink "join-by-link",
    Invite "invite",
    MakeLink "make-link",
    LetIn "let-in",
    Rename "rename",
    Topic "topic",
    Leave "leave",
    Poll "poll",
    Accept "accept",
    Decline "decline",
    // Timeline
    PageUp "page-up",
    PageDown "page-down",
    ToOldest "oldest",
    ToNewest "newest",
    SelectMessage "select",
    Up "up",
    Down "down",
    First "first",
    Last "last",
    Reply "reply",
    EditMessage "edit",
    DeleteHere "delete-here",
    Retract "delete-everywhere",
    React "react",
    Copy "copy",
    CopyCode "copy-code",
    Pin "pin",
    SaveFile "save-file",
    OpenFile "open-file",
    LookAt "look",
    Play "play",
    Original "original",
    Back "back",
    Vote "vote",
    ClosePoll "close-poll",
    Details "details",
    Resend "give-up",
    ToComposer "write",
    // Everywhere
    Palette "palette",
    Search "search",
    Members "members",
    Keys "keys",
    SecurityLog "security-log",
    Quantum "quantum",
    Transfers "transfers",
    Connection "connection",
    Settings "settings",
    Help "help",
    Suspend "suspend",
    Quit "quit",
    // Answers
    Dismiss "dismiss",
    Confirm "yes",
    Refuse "no",
    Submit "submit",
    Complete "complete",
    Choose "choose",
    Other "other",
}
