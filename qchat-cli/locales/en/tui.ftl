### The words of the screen in English: the language that every other one is checked against.
###
### A message is one line, however long: a line break in it is one on the screen. What stands in braces is put in by the program; names
### of keys ("Ctrl+P") come from the user's keymap and are never translated. Names of commands (`qchat …`), of settings' values and of
### the operators of the search stay as they are, for they are typed so.

## Numbers and dates

# Between a number and its fraction.
decimal-mark = .
# $weekday is 1 (Monday) to 7, $month 1 to 12.
day-line = { $weekday ->
        [1] Monday
        [2] Tuesday
        [3] Wednesday
        [4] Thursday
        [5] Friday
        [6] Saturday
       *[7] Sunday
    }, { $day } { $month ->
        [1] January
        [2] February
        [3] March
        [4] April
        [5] May
        [6] June
        [7] July
        [8] August
        [9] September
        [10] October
        [11] November
       *[12] December
    } { $year }

## The screen as a whole

too-small = The terminal is too small: qchat needs { $columns } columns and { $rows } rows.
reading = Reading…
asking-server = Asking the server…
lock-why = Locked: nobody has pressed a key for a while.
# $typed is a row of dots.
lock-passphrase = Passphrase: { $typed }
lock-trying = Trying…
lock-quit = Ctrl+Q quits.
# Something went wrong; Esc puts the sentence away.
trouble = ! { $why }  (Esc)
# Stands where an action has no key of its own.
by-palette = `{ $action }` of the palette
the-palette = the palette

## The list of rooms. The words behind a name are short: there are 12 columns for them.

rooms-title = Rooms
rooms-find = Find: { $typed }▏
room-invited = invited
room-removed = removed
room-stuck = stuck
room-left = left
room-blocked = blocked
room-archived = archived
no-rooms = No rooms yet.
no-rooms-hint = { $key } creates one; invitations from others appear by themselves.
nothing-said = Nothing has been said here yet.
somebody = Somebody
invitation-from = { $who } invites you to “{ $room }”.
invitation-keys = { $join } joins, { $decline } declines. Nothing is sent before you decide.

## The timeline

# Stands in the line above what is unread.
unread-line = new
deleted-by = (deleted by { $name })
deleted = (deleted)
blocked = (blocked)
edited-mark = (edited)
unknown-kind = (a kind of message that this version does not know; a newer qchat shows it)
no-sender = a message without a sender
could-not-be-sent = (could not be sent)
reply-missing = a message that is not on this device
pinned-by = pinned by { $name }
file-line = [{ $voice ->
        [yes] voice note
       *[no] file
    } { $name }, { $size }]
file-line-playing = [{ $voice ->
        [yes] voice note
       *[no] file
    } { $name }, { $size }, { $seconds } s]
poll-line = poll: { $question }
poll-choices = (up to { $count })
poll-closed = (closed)

# What is said of a message that is chosen.
detail-written = written { $at }
detail-waits = waits to be sent; nobody has it
detail-failed = could not be sent; nobody has it
detail-stored = the server has it; sealed in epoch { $epoch }
detail-with = with { $names }
detail-seen = seen by { $names }
detail-goes = goes { $at }
detail-edits = { $count ->
        [one] edited once
       *[other] edited { $count } times
    }
detail-file = file { $id }
detail-id = id { $id }
detail-device = device { $id }

## Who is there, and who writes

presence-online = online
presence-away = away
last-seen = last seen { $at }
# Names are there for up to three people; then only their number is said.
who-writes = { $count ->
        [1] { $first } writes …
        [2] { $first } and { $second } write …
        [3] { $first }, { $second } and { $third } write …
       *[other] { $count } people write …
    }

## Above and below the text that is written

which-room = Which room?
answering = ↪ to { $name }: { $excerpt } (Esc: no answer)
editing = Editing (Esc: as it was)
new-below = { $room } · ↓ { $count } new below ({ $key })
answer-keys = { $yes }: yes   { $no }: no
invitation-hint = { $join }: join   { $decline }: decline
was-removed = You were removed from this room; what was said before stays readable.
is-stuck = This device cannot follow the room any more; a member has to add it again.
was-left = You left this room.
creates-a-room = { $key } creates a room.
blocked-by = ! The identity key of { $name } has changed: nothing is sent here. Ask { $name } over another channel, then accept it, or remove them: { $key }.

# Who will be able to read what is written.
preview = for { $people ->
        [one] { $people } person
       *[other] { $people } people
    } on { $devices ->
        [one] { $devices } device
       *[other] { $devices } devices
    }{ $unverified ->
        [0] { "" }
       *[other] , { $unverified } not verified
    }: { $bytes } bytes whatever is in it, sealed in epoch { $epoch } with { $suite }.
preview-more = { $key } names them.
# Ids of devices, or ×2 before they have been read.
preview-reader = { $trust ->
        [own] you
        [verified] ✓ verified
        [changed] ! changed
       *[unverified] ? not verified
    }: { $name }, { $devices }
preview-rest = and { $count } more: { $key } shows everybody

## The status line

online = online
online-by = online ({ $group })
online-classical = online ({ $group }, not post-quantum)
connecting = connecting…
offline = offline: { $why }
status-help = { $key } help
people-here = { $members ->
        [one] { $members } member
       *[other] { $members } members
    }{ $invited ->
        [0] { "" }
       *[other] , { $invited } invited
    }{ $verified ->
        [0] { "" }
       *[other] , { $verified } verified
    }
epoch = epoch { $epoch }
to-send = { $count } to send
files-on-the-way = { $count ->
        [one] { $count } file on the way
       *[other] { $count } files on the way
    }
unread-elsewhere = { $count } unread elsewhere

## What is asked for. They stand in a line of the screen's width.

the-room = the room
prompt-room-name = Name of the new room (Enter creates it, Esc cancels)
prompt-invitees = Whom to invite to { $room }? (names; Esc cancels)
prompt-link = Which invite link? (paste it; Esc cancels)
prompt-applicant = Whom to let into { $room }, who asks? (a name; Esc cancels)
prompt-new-name = Another name for { $room }?
prompt-topic = What is { $room } about? (nothing: no topic)
prompt-person = Whom to write to alone? (a name; Esc cancels)
prompt-file = Which file to send to { $room }? (its path)
prompt-poll = What to ask? (as in: Where do we meet? | here | there)
question-join = Join { $room }?
question-decline = Decline the invitation to { $room }?
question-link = Do both devices show the same?
question-leave = Leave { $room }? What was said stays here, and nothing more comes.
question-delete-here = Delete it from this device? The others keep it.
question-retract = Delete it for everyone? Their devices are asked to; who has read it has read it.
question-paste = { $lines ->
        [one] Paste { $lines } line into the text?
       *[other] Paste { $lines } lines into the text?
    }
question-same = Did { $name } read the same number to you?
question-unverify = Take back that { $name } is verified?
question-accept-identity = Go on with { $name } by the key that is shown? Ask them first, elsewhere.
question-remove = Remove { $name } from { $room }?
question-revoke = Take { $device } out of the account? It loses everything at once.
link-request = “{ $name }” wants to be a device of this account; it asked at { $time }. Say yes only if you have it before you: it gets the account's key, and comes into all rooms.

## The hints in the last line: one or two short words behind a key

hint-back = back
hint-cancel = cancel
hint-choose = choose
hint-close = close
hint-complete = complete
hint-copy = copy
hint-decline = decline
hint-delete = delete
hint-details = details
hint-edit = edit
hint-go-ahead = go ahead
hint-go-to = go to
hint-help = help
hint-join = join
hint-members = members
hint-messages = messages
hint-more = more
hint-next = next
hint-next-room = next room
hint-no = no
hint-open = open
hint-original = original
hint-other = other
hint-pin = pin
hint-play = play
hint-react = react
hint-reply = reply
hint-save-file = save file
hint-look-at = look
hint-search = search
hint-send = send
hint-settings = settings
hint-take = take
hint-unread = unread
hint-yes = yes
hint-yes-the-same = yes, the same

## The help: where keys hold, and what they do

help-close = Esc: close
help-more = PgDn: more
scope-composer = Writing
scope-completing = While a word can be completed
scope-blank = While nothing is typed
scope-rooms = Rooms
scope-filter = Finding a room
scope-timeline = A message that is chosen
scope-picture = A picture that is looked at
scope-invitation = An invitation
scope-everywhere = Everywhere
scope-list = Palette, search and reactions
scope-panel = Panels
scope-prompt = Answering a prompt
scope-question = Answering a question
scope-device = A device that wants to be let in
scope-help = This help

# Actions; the palette lists many of them, too. Those of the timeline are about the message that is chosen.
action-send = send the message
action-newline = break the line
action-history-older = an earlier message that you sent, to send again
action-history-newer = back towards what you were writing
action-editor = write in your own editor
action-next-candidate = complete the word, then the next candidate
action-previous-candidate = the candidate before
action-attach = send a file
action-preview = who will be able to read it: counted, then by name, then no more
action-next-room = next room
action-previous-room = previous room
action-next-unread = next room with something unread
action-filter-rooms = find a room by typing
action-create-room = create a room
action-direct = write to somebody alone
action-join-by-link = join a room by a link
action-invite = invite people to this room
action-make-link = make an invite link
action-let-in = let somebody in who asks
action-rename = give the room another name
action-topic = say what the room is about
action-leave = leave the room (asks first)
action-poll = ask a question with options
action-accept = join the room (asks first)
action-decline = decline (asks first)
action-page-up = older messages
action-page-down = newer messages
action-oldest = oldest loaded message
action-newest = newest message
action-select = choose a message, to do something with it
action-up = up
action-down = down
action-first = first
action-last = last
action-reply = answer it
action-edit = edit it
action-delete-here = delete it from this device (asks first)
action-delete-everywhere = delete it for everyone (asks first)
action-react = react, or take a reaction back
action-copy = copy its text
action-copy-code = copy its code alone
action-pin = keep it in view, or no more
action-save-file = save its file to the downloads
action-open-file = save its file and open it
action-look = look at its picture; at the newest one, where no message is chosen
action-play = play its sound, or end that; the newest one, where no message is chosen
action-original = go to the message that it answers
action-back = go back from there
action-vote = vote for the option of that number, or take the vote back
action-close-poll = let a poll of yours take no more votes
action-details = who has got and read it, and where it stands
action-give-up = give up sending it, while it waits
action-write = back to writing
action-palette = go to a room, a person or a command by typing
action-search = search all rooms
action-members = members and trust
action-keys = keys, devices and backups
action-security-log = what happened to the account
action-quantum = quantum jobs and the pool
action-transfers = files on their way, and what waits to be sent
action-connection = the connection
action-settings = settings
action-help = this help, and back
action-suspend = stop for a while; the shell goes on with `fg`
action-quit = quit
action-dismiss = put away what is reported, cancel
action-yes = yes
action-no = no
action-submit = go ahead
action-complete = complete the word
action-choose = take what is chosen
action-other = the other thing that can be done there

## Palette, reactions and search

palette-title = Go to a room, a person or a command
reactions-title = React with (a name, or an emoji)
nothing-fits = Nothing fits.
pick-invitation = invitation
pick-room = room
pick-person = person
pick-unread = { $count } unread
pick-mentions = { $count } unread, @{ $mentions }
pick-take-back = take back
search-title = Search all rooms: words, "phrases", from:NAME in:ROOM before:DATE has:link
search-running = Searching…
search-nothing = Nothing was found
# $more is "+" where there are more than were read, else nothing.
search-found = { $count ->
        [one] { $count } message{ $more }
       *[other] { $count }{ $more } messages
    }

## Panels. Names of facts stand in a column of 15.

panel-members = Members and trust
panel-keys = Keys and devices
panel-log = Security log
panel-quantum = Quantum
panel-transfers = Files and outbox
panel-connection = Connection
panel-settings = Settings
fact-state = state
fact-epoch = epoch

# Members
no-room-open = No room is open, or it is still being read.
members-heading = { $room }: { $count ->
        [one] { $count } member
       *[other] { $count } members
    }
members-hint = Enter compares the safety number with somebody, or accepts a changed identity.
members-hint-remove = x removes them.
member-device = device { $id }
member-devices = { $count ->
        [one] { $count } device
       *[other] { $count } devices
    }
member-invited = invited
role-owner = owner
role-admin = admin
role-reader = reads only
trust-you = you
trust-changed = ! identity changed: nothing is sent until you accept it
trust-verified = ✓ verified
trust-none = not verified

# A changed identity
change-heading = { $name } has another identity
change-recovered = The recovery key that this device knows { $name } by has signed it: { $name } has recovered the account, or whoever has the recovery words.
change-unvouched = Nothing that this device knows of { $name } stands behind it: it may be anybody's, the server's above all. Ask { $name } over another channel.
change-taken-back = The server shows the key again that this device has always known.
key-known = The key that is known here
key-shown = The key that the server shows
key-accept = Go on by the new key

# Comparing a safety number
compare-heading = You and { $name }
compare-done = You have compared this number before.
compare-how = Read it to one another over a channel where you know each other's voice or face. All digits have to be the same: other pictures prove a swapped key, the same pictures alone prove little.
compare-stale = The server could not be asked: this is what is stored here.
compare-take-back = Take back that they are verified
compare-same = Both see the same number
fingerprint = fingerprint { $hex }

# Keys, devices and backups
identity-heading = { $name }'s identity key (SHA-384)
devices-heading = Devices of the account
devices-hint = x takes a device out of the account.
device-no-name = (no name)
device-since = since { $at }
device-seen = seen { $at }
device-this = this one
room-keys-heading = Keys of { $room }
fact-suite = suite
fact-last-update = last update
not-yet = not yet
fact-mixed = mixed in
mixed-since = { $kind } since epoch { $epoch }
update-keys = Update the keys now
backups-heading = Backups at the server
backups-none = There is none: who loses all devices loses the history. `qchat backup create` makes one.
unknown-time = at an unknown time
this-device = this device
backup-line = { $at }  { $messages } messages, { $size }, of { $device }

# The security log
log-intro = The server's words about who signed in, and what was tried. What you do not recognise: take the device out ({ $key }).
nothing-yet = Nothing yet.

# Quantum
pool-heading = Pool
fact-level = level
fact-quantum = quantum
fact-simulated = simulated
pool-keys = { $count ->
        [one] { $count } key
       *[other] { $count } keys
    }
pool-quantum = { $bits } bits, which its operator has seen
pool-simulated = { $bits } bits, which add nothing
start-heading = Start on this machine's simulator
start-qrng = Random bits for the pool
start-chsh = A CHSH test
start-bb84 = A run of BB84: an exercise, no secrecy comes of it
jobs-heading = Jobs
jobs-none = None yet.
# At most ten letters.
job-state = { $state ->
        [prepared] prepared
        [submitting] submitting
        [queued] queued
        [running] running
        [measured] measured
        [done] done
        [failed] failed
        [cancelled] cancelled
       *[other] { $state }
    }
job-simulated = { $backend }, simulated
job-bits = { $bits } bits
job-instead = instead of { $backend }: { $why }
qber-heading = Error rate of the last run (QBER)
fact-qber = QBER
qber-line = { $rate } % (95 %: { $from } to { $to }); 11 % is the limit
fact-over-the-run = over the run
fact-last-s = last S
chsh-heading = CHSH
chsh-line = { $value } ± { $error }; above 2 nothing but entanglement gets
fact-history = history

# Files and outbox
files-heading = Files
files-none = None since the screen opened.
file-far = { $done } of { $size }
file-at = is at { $path }
file-sent = sent
file-failed = { $why } (Enter: again)
unsent-heading = Not sent yet
unsent-none = Everything is sent.
unsent-hint = x gives up sending what waits.
unsent-at = at { $time }
unsent-waits = waits
unsent-on-its-way = on its way
unsent-failed = cannot be sent
unsent-room = a room
unsent-kind = { $kind ->
        [text] text
        [poll] poll
        [file] file
        [receipt] receipt
        [profile] profile
        [joined] joined
        [key] key
        [exercise] exercise
        [edit] edit
        [delete] delete
        [reaction] reaction
        [pin] pin
        [vote] vote
        [close] close
        [unknown] unknown
       *[other] { $kind }
    }

# Connection
fact-server = server
state-online = online
state-connecting = connecting
state-offline = offline; it is tried again by itself
fact-protection = protected by
protected-by-nothing = nothing: it does not leave this machine
protected-post-quantum = TLS 1.3, post-quantum
protected-classical = TLS 1.3, not post-quantum: messages are, the way is not
fact-group = group
fact-server-key = server's key
fact-lost = lost
lost-times = { $count } times since the screen opened
fact-latency = latency
latency-measuring = measuring…
latency = { $milliseconds } ms for a question and its answer
measure-again = Measure again

# Settings: their names; the values are those of the configuration file.
setting-theme = theme
setting-keymap = keymap
setting-language = language
setting-graphics = pictures
setting-notifications = notifications
setting-notifier = notifier
setting-bell = bell
setting-receipts = receipts
on = on
off = off
settings-about = Enter goes to the next value and writes it to the configuration file. Notifications say nothing, that there is a message, its room and sender, or its text too; others may see the desktop. The terminal shows them, or the desktop, which may keep them. Receipts hold from the next start on. Keys of your own go into the table [keys] of that file.

## What is being done

doing-create = Creating the room…
doing-direct = Looking for the conversation…
doing-invite = Inviting…
doing-link = Making the link…
doing-ask = Asking to be let in…
doing-let-in = Letting in…
doing-remove = Removing…
doing-change-room = Changing the room…
doing-leave = Leaving…
doing-join = Joining…
doing-decline = Declining…
doing-approve-link = Waiting for the yes of the new device…
doing-refuse-link = Refusing the device…
doing-compare = Asking the server for their keys…
doing-revoke = Taking the device out…
doing-update-keys = Updating the keys…
doing-quantum = Simulating…

## What was done

done = Done.
done-cancelled = Cancelled.
done-create = The room is there. { $key } invites people to it.
done-direct = What you write here { $name } reads, and nobody else.
done-direct-elsewhere = The conversation with { $name } is among the rooms.
done-invite = Invited { $names }.
done-link = The link is in the clipboard: whoever has it comes in, for a week. qchat room link shows and ends links.
done-ask = You asked; nobody has answered yet. You come in as soon as a member lets you in.
done-let-in = { $name } is in.
done-remove = Removed { $name }.
done-change-room = Changed.
done-leave = You left the room.
done-join = You are in.
done-decline = Declined.
done-approve-link = { $device } is a device of this account now.
# In the place of a device's name, where that is not known.
done-approve-link-it = It
done-refuse-link = Refused: nothing was handed over.
done-verify = { $name } is verified.
done-unverify = { $name } is not verified any more.
done-accept-identity = You accepted { $name }'s new identity; compare the number with them.
done-revoke = The device is out.
done-update-keys = This device has fresh keys here.
done-delete-here = Deleted from this device.
done-take-back = It is not sent.
done-retract = Deleted; devices that are online forget it now.
done-save-file = Saved to { $path }.
done-send-file = The file is sent.
done-copy = Copied, if the terminal lets programs reach the clipboard (OSC 52).
nothing-changed = Nothing was changed.
device-gave-up = The new device is not waiting any more.

## What cannot be done

cannot-be = That cannot be: { $why }.
cannot-be-poll = That cannot be: { $why }. As in: Where do we meet? | here | there
pasted-too-long = What was pasted has { $size } bytes, and a message at most { $most }: send it as a file ({ $key }).
written-too-long = The text has { $size } bytes and at most { $most } fit into one message; send it in parts.
no-such-command = There is no command /{ $name }; /help has the keys, and // at the beginning says a slash.
no-user = { $name } is no user: { $why }.
needs-a-room = That needs a room that you are in.
say-one-name = Say one name; several people need a room.
say-whom = Say whom.
say-which-file = Say which file.
no-shell = There is no shell here that would let the program go on again, so it does not stop.
under-way = It is on its way already.
is-a-notice = That can be done with what somebody has said, and this is a notice.
only-texts-edited = Only a text can be edited.
only-own-edited = Only who wrote a message can edit it.
no-code = There is no code in that message.
no-file = There is no file in that message.
no-picture = There is no picture that can be looked at here: PNG, JPEG, GIF and WebP can.
no-sound = There is no sound in that message that can be played.
no-player = No player was found: install mpv or ffmpeg, or name one by player in the configuration file.
playing = Playing { $name }… { $key } ends it.
picture-no-colours = Pictures need more than 16 colours, of the terminal and of the theme. { $key } saves the file.
pictures-off = Pictures are switched off (graphics = none). { $key } saves the file.
picture-too-large = The file has { $size }, and what is looked at here may have { $most }. Save it instead.
picture-too-many = The picture has too many pixels to be looked at here. Save it instead.
picture-broken = The picture is not what it says it is, and cannot be shown.
picture-coming = { $done } of { $size } have arrived…
# A width and a height.
picture-size = { $width } × { $height } pixels
may-be-program = A file of that kind can be a program: save it, and look at it first.
no-open-poll = That is no open poll.
no-poll = That is no poll.
no-such-option = The poll has no such option.
no-more-votes = The poll takes no more votes.
most-options = Up to { $count } options can be chosen; take one back first.
waits-no-more = It waits no more; D deletes it for everyone.
cannot-write = Nothing can be written here.
too-long-to-copy = That is too long for the clipboard of a terminal.
answers-none = That message answers none.
not-here = That message is not on this device.
not-here-any-more = That message is not on this device any more.
room-is-gone = The room that was open is gone; choose another one.
no-other-identity = There is no other identity to accept any more.
no-desktop = The desktop shows no notifications ({ $why }); the terminal is asked to instead.
file-not-opened = It is at { $path }, and no program opens it: { $why }
gave-up = it was given up; try again
has-left = it has left; delete it for everyone if nobody is to read it
no-identity-of = { $name } has no other identity to accept any more
no-reaction = that is no reaction
no-place-for-settings = There is no home directory for a configuration file; say where with QCHAT_CONFIG.
settings-not-written = The file was not written; try again.
editor-senseless = the editor { $editor } makes no sense: { $why }
editor-none = no editor is named
editor-no-file = what is written cannot be given to an editor: { $why }
editor-no-start = the editor { $editor } does not start: { $why }; set EDITOR to one that does
editor-took-it = the editor did not leave the text where it was ({ $why }); the text is as it was
editor-failed = the editor has failed ({ $why }); the text is as it was

## Notifications

notify-message = a new message
notify-invitation = { $who } invites you

## The first run

welcome-title = Welcome to qchat
welcome-step = Welcome to qchat · { $step } of { $steps }
welcome-way = There is no account on this machine yet. What would you like to do?
way-register = Create an account
way-register-about = You need a server's address and a name.
way-link = Link to my other device
way-link-about = You need a device of the account before you, switched on: both show the same picture, and you compare.
way-restore = Restore by recovery words
way-restore-about = You need the 24 words that were shown when the account was made, and a backup at the server.
welcome-server = Which server? Its address begins with https:// (http:// only on this machine). It passes on what you write, and can read none of it.
welcome-new-name = What is your name? Others find you by it: small letters, digits, dots and dashes. It cannot be changed.
welcome-name = What is the name of your account?
welcome-words = The 24 recovery words of the account, in their order. They are not shown, and never leave this machine.
welcome-passphrase-there = The passphrase of the account, as on your other device.
welcome-passphrase = A passphrase. It encrypts everything on this machine and opens your account; nobody can reset it. Four or five words that have nothing to do with one another are good.
welcome-again = The same once more.
welcome-same = Does your other device show the same?
welcome-that-backup = Is that the one to restore?
welcome-proof = So that it is certain that they are on paper: what is word { $place }?
welcome-new-words = Your account is there. These are its recovery words: write them down on paper, in this order. They are the only way back if you lose this machine or forget the passphrase, and whoever has them has the account.
welcome-count = { $count ->
        [one] { $count } word
       *[other] { $count } words
    }
welcome-keys-way = ↑ ↓ choose · Enter goes on · Esc leaves
welcome-keys-giving-up = Esc gives up · Ctrl+Q leaves
welcome-keys-none = A moment…
welcome-keys-asked = y yes · n no · Esc back
welcome-keys-shown = ↑ ↓ all of them · Enter: they are on paper
welcome-keys = Enter goes on · Esc back · Ctrl+Q leaves
strength = { $strength ->
        [fair] fair
        [good] good
       *[strong] strong
    }
weak-short = the passphrase has { $characters } characters, and { $least } are the least: take several words that have nothing to do with one another
weak-tried = the passphrase is among the first that are tried
# $why comes from the library that judges it, in English.
weak-tried-why = the passphrase is among the first that are tried: { $why }
bad-name = That cannot be a name: { $why }.
bad-words = These are no recovery words: { $why }.
no-passphrase = There is none yet.
not-the-same = It is not the same; type it again, or Esc for another one.
halfway = This should not be stopped halfway; it takes a moment. Ctrl+Q leaves all the same, and the command line completes it.
account-is-there = The account is there already. Ctrl+Q leaves; `qchat recovery confirm` shows the words again.
wrong-word = That is not the word that stands there.
going-on = Going on…
going-back = Going back…
forgetting-words = Forgetting the words here…
making-account = Making keys and registering…
deriving-key = Making a key of the passphrase…
making-keys = Making keys…
registering = Registering…
waiting-for-device = Waiting for a device of the account: open qchat there, or run `qchat device approve`.
waiting-for-yes = Waiting for the yes of the other device…
taking-over = Taking over what the other device gives…
looking-for-backups = Looking for backups…
making-device = Making this machine a device of the account…
fetching-backup = Fetching the backup: { $done } of { $of }
backup-offered = There is a backup of { $at } with { $messages } messages.
backups-of-others = There are { $count } of other devices; `qchat backup restore --from` names one.
