### המילים של המסך בעברית. ההנחיות למתרגמים נמצאות בקובץ האנגלי.
### הניסוח פונה בלי מין דקדוקי: שמות פעולה, מקור וסביל. לפני שם שאינו ידוע בא שם עצם (״בחדר״, ״מאת״) ולא אות שימוש.

## מספרים ותאריכים

decimal-mark = .
day-line = { $weekday ->
        [1] יום שני
        [2] יום שלישי
        [3] יום רביעי
        [4] יום חמישי
        [5] יום שישי
        [6] שבת
       *[7] יום ראשון
    }, { $day } { $month ->
        [1] בינואר
        [2] בפברואר
        [3] במרץ
        [4] באפריל
        [5] במאי
        [6] ביוני
        [7] ביולי
        [8] באוגוסט
        [9] בספטמבר
        [10] באוקטובר
        [11] בנובמבר
       *[12] בדצמבר
    } { $year }

## המסך כולו

too-small = המסוף קטן מדי: qchat צריך { $columns } עמודות ו־{ $rows } שורות.
reading = בקריאה…
asking-server = פנייה לשרת…
lock-why = נעול: זמן מה לא הוקש אף מקש.
lock-passphrase = משפט סיסמה: { $typed }
lock-trying = בבדיקה…
lock-quit = Ctrl+Q ליציאה.
trouble = ! { $why }  (Esc)
by-palette = ״{ $action }״ בלוח הפקודות
the-palette = לוח הפקודות

## רשימת החדרים

rooms-title = חדרים
rooms-find = חיפוש: { $typed }▏
room-invited = הזמנה
room-removed = הוסרת
room-stuck = תקוע
room-left = עזבת
room-blocked = חסום
room-archived = בארכיון
no-rooms = אין עדיין חדרים.
no-rooms-hint = { $key } ליצירת חדר; הזמנות מאחרים מופיעות מעצמן.
nothing-said = עדיין לא נאמר כאן דבר.
somebody = מישהו
invitation-from = הזמנה מאת { $who } לחדר ״{ $room }״.
invitation-keys = { $join } להצטרפות, { $decline } לדחייה. שום דבר לא נשלח לפני ההחלטה.

## השיחה

unread-line = חדש
deleted-by = (נמחק בידי { $name })
deleted = (נמחק)
blocked = (חסום)
edited-mark = (נערך)
unknown-kind = (סוג הודעה שהגרסה הזאת אינה מכירה; qchat חדש יותר יציג אותה)
no-sender = הודעה ללא שולח
could-not-be-sent = (השליחה נכשלה)
reply-missing = הודעה שאינה במכשיר הזה
pinned-by = הוצמד בידי { $name }
# השם והשאלה באים ראשונים: לפיהם נקבע כיוון השורה.
file-line = { $name } [{ $size }, { $voice ->
        [yes] הודעה קולית
       *[no] קובץ
    }]
file-line-playing = { $name } [{ $size }, { $seconds } שנ׳, { $voice ->
        [yes] הודעה קולית
       *[no] קובץ
    }]
poll-line = { $question } (סקר)
poll-choices = (עד { $count })
poll-closed = (נסגר)

detail-written = נכתב { $at }
detail-waits = ממתין לשליחה; לא הגיע לאיש
detail-failed = השליחה נכשלה; לא הגיע לאיש
detail-stored = השרת קיבל; הוצפן בתקופה { $epoch }
detail-with = הגיע אל { $names }
detail-seen = נראה בידי { $names }
detail-goes = ייעלם { $at }
detail-edits = { $count ->
        [one] נערך פעם אחת
        [two] נערך פעמיים
       *[other] נערך { $count } פעמים
    }
detail-file = קובץ { $id }
detail-id = מזהה { $id }
detail-device = מכשיר { $id }

## מי כאן ומי כותב

presence-online = כאן
presence-away = לא ליד המסך
last-seen = כאן לאחרונה { $at }
who-writes = { $count ->
        [1] בהקלדה: { $first } …
        [2] בהקלדה: { $first } וגם { $second } …
        [3] בהקלדה: { $first }, { $second } וגם { $third } …
       *[other] { $count } אנשים בהקלדה …
    }

## מעל ומתחת לטקסט שנכתב

which-room = איזה חדר?
answering = ↪ אל { $name }: { $excerpt } (Esc: בלי תשובה)
editing = עריכה (Esc: כמו קודם)
new-below = { $room } · ↓ { $count } חדשות למטה ({ $key })
answer-keys = { $yes }: כן   { $no }: לא
invitation-hint = { $join }: הצטרפות   { $decline }: דחייה
was-removed = הוסרת מהחדר הזה; מה שנאמר קודם נשאר קריא.
is-stuck = המכשיר הזה כבר לא יכול לעקוב אחרי החדר; חבר בחדר צריך להוסיף אותו שוב.
was-left = עזבת את החדר הזה.
creates-a-room = { $key } ליצירת חדר.
blocked-by = ! מפתח הזהות של { $name } השתנה: לא נשלח כאן דבר. יש לברר עם { $name } בערוץ אחר, ואז לאשר את המפתח או להסיר מהחדר: { $key }.

preview = { $people ->
        [one] לאדם אחד
       *[other] ל־{ $people } אנשים
    } { $devices ->
        [one] במכשיר אחד
       *[other] ב־{ $devices } מכשירים
    }{ $unverified ->
        [0] { "" }
       *[other] , { $unverified } לא אומתו
    }: { $bytes } בתים בכל מקרה, מוצפן בתקופה { $epoch } עם { $suite }.
preview-more = { $key }: השמות.
preview-reader = { $trust ->
        [own] אני
        [verified] ✓ אומת
        [changed] ! השתנה
       *[unverified] ? לא אומת
    }: { $name }, { $devices }
preview-rest = { $count ->
        [one] ועוד אחד
       *[other] ועוד { $count }
    }: { $key } להצגת כולם

## שורת המצב

online = מקוון
online-by = מקוון ({ $group })
online-classical = מקוון ({ $group }, לא עמיד לקוונטים)
connecting = מתחבר…
offline = לא מקוון: { $why }
status-help = { $key } עזרה
people-here = { $members ->
        [one] חבר אחד
       *[other] { $members } חברים
    }{ $invited ->
        [0] { "" }
        [one] , מוזמן אחד
       *[other] , { $invited } מוזמנים
    }{ $verified ->
        [0] { "" }
        [one] , מאומת אחד
       *[other] , { $verified } מאומתים
    }
epoch = תקופה { $epoch }
to-send = { $count } לשליחה
files-on-the-way = { $count ->
        [one] קובץ אחד בדרך
        [two] שני קבצים בדרך
       *[other] { $count } קבצים בדרך
    }
unread-elsewhere = { $count } שלא נקראו במקום אחר

## מה נשאל

# בא אחרי ״החדר״, כששמו אינו ידוע.
the-room = הזה
prompt-room-name = שם החדר החדש (Enter ליצירה, Esc לביטול)
prompt-invitees = את מי להזמין לחדר { $room }? (שמות; Esc לביטול)
prompt-link = איזה קישור הזמנה? (הדבקה; Esc לביטול)
prompt-applicant = את מי מהמבקשים להכניס לחדר { $room }? (שם; Esc לביטול)
prompt-new-name = שם אחר לחדר { $room }?
prompt-topic = במה עוסק החדר { $room }? (ריק: בלי נושא)
prompt-person = למי לכתוב בפרטי? (שם; Esc לביטול)
prompt-file = איזה קובץ לשלוח לחדר { $room }? (הנתיב שלו)
prompt-poll = מה לשאול? (לדוגמה: איפה ניפגש? | כאן | שם)
question-join = להצטרף לחדר { $room }?
question-decline = לדחות את ההזמנה לחדר { $room }?
question-link = האם שני המכשירים מציגים אותו דבר?
question-leave = לעזוב את החדר { $room }? מה שנאמר נשאר כאן, ושום דבר חדש לא יגיע.
question-delete-here = למחוק מהמכשיר הזה? אצל האחרים ההודעה נשארת.
question-retract = למחוק לכולם? המכשירים שלהם יתבקשו לעשות זאת; מי שקרא כבר קרא.
question-paste = { $lines ->
        [one] להדביק שורה אחת לתוך הטקסט?
        [two] להדביק שתי שורות לתוך הטקסט?
       *[other] להדביק { $lines } שורות לתוך הטקסט?
    }
question-same = האם { $name } הקריא או הקריאה אותו מספר?
question-unverify = לבטל את האימות של { $name }?
question-accept-identity = להמשיך עם { $name } לפי המפתח המוצג? כדאי לשאול קודם, בערוץ אחר.
question-remove = להסיר את { $name } מהחדר { $room }?
question-revoke = להוציא את { $device } מהחשבון? המכשיר יאבד הכול מיד.
link-request = ״{ $name }״ מבקש להיות מכשיר בחשבון הזה; הבקשה נשלחה בשעה { $time }. יש לאשר רק אם המכשיר לפניך: הוא יקבל את מפתח החשבון וייכנס לכל החדרים.

## הרמזים בשורה האחרונה

hint-back = חזרה
hint-cancel = ביטול
hint-choose = בחירה
hint-close = סגירה
hint-complete = השלמה
hint-copy = העתקה
hint-decline = דחייה
hint-delete = מחיקה
hint-details = פרטים
hint-edit = עריכה
hint-go-ahead = המשך
hint-go-to = מעבר
hint-help = עזרה
hint-join = הצטרפות
hint-members = חברים
hint-messages = הודעות
hint-more = עוד
hint-next = הבא
hint-next-room = החדר הבא
hint-no = לא
hint-open = פתיחה
hint-original = המקור
hint-other = אחר
hint-pin = הצמדה
hint-play = השמעה
hint-react = תגובה
hint-reply = תשובה
hint-save-file = שמירת קובץ
hint-look-at = תצוגה
hint-search = חיפוש
hint-send = שליחה
hint-settings = הגדרות
hint-take = בחירה
hint-unread = שלא נקראו
hint-yes = כן
hint-yes-the-same = כן, אותו דבר

## העזרה

help-close = Esc: סגירה
help-more = PgDn: עוד
scope-composer = כתיבה
scope-completing = כשאפשר להשלים מילה
scope-blank = כשלא מוקלד דבר
scope-rooms = חדרים
scope-filter = חיפוש חדר
scope-timeline = הודעה שנבחרה
scope-picture = תמונה מוצגת
scope-invitation = הזמנה
scope-everywhere = בכל מקום
scope-list = לוח הפקודות, חיפוש ותגובות
scope-panel = חלוניות
scope-prompt = מענה לבקשה
scope-question = מענה לשאלה
scope-device = מכשיר שמבקש להיכנס
scope-help = העזרה הזאת

action-send = שליחת ההודעה
action-newline = שורה חדשה
action-history-older = הודעה קודמת ששלחת, לשליחה חוזרת
action-history-newer = חזרה אל מה שנכתב כרגע
action-editor = כתיבה בעורך שלך
action-next-candidate = השלמת המילה, ואז ההצעה הבאה
action-previous-candidate = ההצעה הקודמת
action-attach = שליחת קובץ
action-preview = מי יוכל לקרוא: במספרים, אחר כך בשמות, אחר כך לא עוד
action-next-room = החדר הבא
action-previous-room = החדר הקודם
action-next-unread = החדר הבא עם הודעות שלא נקראו
action-filter-rooms = איתור חדר בהקלדה
action-create-room = יצירת חדר
action-direct = כתיבה למישהו בפרטי
action-join-by-link = הצטרפות לחדר באמצעות קישור
action-invite = הזמנת אנשים לחדר הזה
action-make-link = יצירת קישור הזמנה
action-let-in = הכנסת מי שמבקש להיכנס
action-rename = שם אחר לחדר
action-topic = במה עוסק החדר
action-leave = עזיבת החדר (אחרי שאלה)
action-poll = שאלה עם אפשרויות
action-accept = הצטרפות לחדר (אחרי שאלה)
action-decline = דחייה (אחרי שאלה)
action-page-up = הודעות ישנות יותר
action-page-down = הודעות חדשות יותר
action-oldest = ההודעה הישנה ביותר שנטענה
action-newest = ההודעה החדשה ביותר
action-select = בחירת הודעה, כדי לעשות בה משהו
action-up = למעלה
action-down = למטה
action-first = הראשונה
action-last = האחרונה
action-reply = תשובה להודעה
action-edit = עריכת ההודעה
action-delete-here = מחיקה מהמכשיר הזה (אחרי שאלה)
action-delete-everywhere = מחיקה לכולם (אחרי שאלה)
action-react = תגובה, או ביטול תגובה
action-copy = העתקת הטקסט
action-copy-code = העתקת הקוד בלבד
action-pin = הצמדה, או ביטול ההצמדה
action-save-file = שמירת הקובץ בהורדות
action-open-file = שמירת הקובץ ופתיחתו
action-look = הצגת התמונה שבה; החדשה ביותר, כשלא נבחרה הודעה
action-play = השמעת הצליל שבה, או סיום ההשמעה; החדש ביותר, כשלא נבחרה הודעה
action-original = מעבר להודעה שעליה היא עונה
action-back = חזרה משם
action-vote = הצבעה לאפשרות בעלת המספר הזה, או ביטול ההצבעה
action-close-poll = סגירת סקר שלך להצבעות
action-details = מי קיבל ומי קרא, ומה מצב ההודעה
action-give-up = ויתור על שליחתה, כל עוד היא ממתינה
action-write = חזרה לכתיבה
action-palette = מעבר לחדר, לאדם או לפקודה בהקלדה
action-search = חיפוש בכל החדרים
action-members = חברים ואמון
action-keys = מפתחות, מכשירים וגיבויים
action-security-log = מה קרה לחשבון
action-quantum = משימות קוונטיות והמאגר
action-transfers = קבצים בדרך, ומה שממתין לשליחה
action-connection = החיבור
action-settings = הגדרות
action-help = העזרה הזאת, וחזרה ממנה
action-suspend = השהיה; `fg` במעטפת ממשיך
action-quit = יציאה
action-dismiss = סילוק הדיווח, ביטול
action-yes = כן
action-no = לא
action-submit = המשך
action-complete = השלמת המילה
action-choose = בחירה במסומן
action-other = הדבר האחר שאפשר לעשות שם

## לוח הפקודות, תגובות וחיפוש

palette-title = מעבר לחדר, לאדם או לפקודה
reactions-title = תגובה (שם, או אמוג׳י)
nothing-fits = אין התאמה.
pick-invitation = הזמנה
pick-room = חדר
pick-person = אדם
pick-unread = { $count } שלא נקראו
pick-mentions = { $count } שלא נקראו, @{ $mentions }
pick-take-back = ביטול
search-title = חיפוש בכל החדרים: מילים, "צירופים", from:NAME in:ROOM before:DATE has:link
search-running = בחיפוש…
search-nothing = לא נמצא דבר
search-found = { $count ->
        [one] הודעה אחת{ $more }
        [two] שתי הודעות{ $more }
       *[other] { $count }{ $more } הודעות
    }

## חלוניות

panel-members = חברים ואמון
panel-keys = מפתחות ומכשירים
panel-log = יומן אבטחה
panel-quantum = קוונטים
panel-transfers = קבצים ודואר יוצא
panel-connection = חיבור
panel-settings = הגדרות
fact-state = מצב
fact-epoch = תקופה

no-room-open = אין חדר פתוח, או שהוא עדיין נקרא.
members-heading = { $room }: { $count ->
        [one] חבר אחד
       *[other] { $count } חברים
    }
members-hint = Enter להשוואת מספר הבטיחות או לאישור זהות שהשתנתה.
members-hint-remove = x להסרה מהחדר.
member-device = מכשיר { $id }
member-devices = { $count ->
        [one] מכשיר אחד
        [two] שני מכשירים
       *[other] { $count } מכשירים
    }
member-invited = בהזמנה
role-owner = בעלות על החדר
role-admin = ניהול
role-reader = קריאה בלבד
trust-you = אני
trust-changed = ! הזהות השתנתה: לא נשלח דבר עד לאישורה
trust-verified = ✓ אימות הושלם
trust-none = ללא אימות

change-heading = ל־{ $name } יש זהות אחרת
change-recovered = מפתח השחזור שלפיו המכשיר הזה מכיר את { $name } חתם עליה: החשבון של { $name } שוחזר, או שמילות השחזור בידי מישהו אחר.
change-unvouched = שום דבר שהמכשיר הזה יודע על { $name } לא עומד מאחוריה: היא יכולה להיות של כל אחד, ובראש ובראשונה של השרת. יש לברר עם { $name } בערוץ אחר.
change-taken-back = השרת מציג שוב את המפתח שהמכשיר הזה הכיר מאז ומתמיד.
key-known = המפתח המוכר כאן
key-shown = המפתח שהשרת מציג
key-accept = להמשיך עם המפתח החדש

compare-heading = אני ו־{ $name }
compare-done = המספר הזה כבר הושווה בעבר.
compare-how = הקריאו אותו זה לזה בערוץ שבו הקול או הפנים מוכרים. כל הספרות חייבות להיות זהות: תמונות שונות מוכיחות שהמפתח הוחלף, תמונות זהות לבדן מוכיחות מעט.
compare-stale = לא היה אפשר לפנות לשרת: זה מה ששמור כאן.
compare-take-back = ביטול האימות
compare-same = שני הצדדים רואים אותו מספר
fingerprint = טביעת אצבע { $hex }

identity-heading = מפתח הזהות של { $name } (SHA-384)
devices-heading = המכשירים של החשבון
devices-hint = x להוצאת מכשיר מהחשבון.
device-no-name = (ללא שם)
device-since = מאז { $at }
device-seen = נראה { $at }
device-this = המכשיר הזה
room-keys-heading = המפתחות של החדר { $room }
fact-suite = צופן
fact-last-update = חידוש אחרון
not-yet = עדיין לא
fact-mixed = מפתח נוסף
mixed-since = { $kind } מאז תקופה { $epoch }
update-keys = חידוש המפתחות עכשיו
backups-heading = גיבויים בשרת
backups-none = אין גיבוי: אובדן כל המכשירים פירושו אובדן ההיסטוריה. `qchat backup create` יוצר גיבוי.
unknown-time = בזמן לא ידוע
this-device = המכשיר הזה
backup-line = { $at }  { $messages } הודעות, { $size }, של { $device }

log-intro = מה שהשרת אומר על מי שנכנס ועל מה שנוסה. אם משהו לא מוכר: יש להוציא את המכשיר ({ $key }).
nothing-yet = עדיין כלום.

pool-heading = מאגר
fact-level = מלאי
fact-quantum = קוונטי
fact-simulated = מדומה
pool-keys = { $count ->
        [one] מפתח אחד
        [two] שני מפתחות
       *[other] { $count } מפתחות
    }
pool-quantum = { $bits } סיביות, שהמפעיל ראה
pool-simulated = { $bits } סיביות, שאינן מוסיפות דבר
start-heading = הפעלה בסימולטור של המחשב הזה
start-qrng = סיביות אקראיות למאגר
start-chsh = מבחן CHSH
start-bb84 = הרצת BB84: תרגיל, שום סודיות לא יוצאת ממנו
jobs-heading = משימות
jobs-none = עדיין אין.
job-state = { $state ->
        [prepared] מוכנה
        [submitting] נשלחת
        [queued] בתור
        [running] פועלת
        [measured] נמדדה
        [done] הושלמה
        [failed] נכשלה
        [cancelled] בוטלה
       *[other] { $state }
    }
job-simulated = { $backend }, מדומה
job-bits = { $bits } סיביות
job-instead = במקום { $backend }: { $why }
qber-heading = שיעור השגיאה בהרצה האחרונה (QBER)
fact-qber = שיעור שגיאה
qber-line = { $rate }% (95%: מ־{ $from } עד { $to }); הגבול הוא 11%
fact-over-the-run = לאורך ההרצה
fact-last-s = S אחרון
chsh-heading = מבחן CHSH
chsh-line = { $value } ± { $error }; מעל 2 מגיעים רק בשזירה
fact-history = היסטוריה

files-heading = קבצים
files-none = אין, מאז שהמסך נפתח.
file-far = { $done } מתוך { $size }
file-at = נמצא ב־{ $path }
file-sent = נשלח
file-failed = { $why } (Enter: שוב)
unsent-heading = עדיין לא נשלחו
unsent-none = הכול נשלח.
unsent-hint = x לוותר על שליחת מה שממתין.
unsent-at = בשעה { $time }
unsent-waits = ממתין
unsent-on-its-way = בדרך
unsent-failed = אי אפשר לשלוח
unsent-room = חדר
unsent-kind = { $kind ->
        [text] טקסט
        [poll] סקר
        [file] קובץ
        [receipt] אישור
        [profile] פרופיל
        [joined] הצטרפות
        [key] מפתח
        [exercise] תרגיל
        [edit] עריכה
        [delete] מחיקה
        [reaction] תגובה
        [pin] הצמדה
        [vote] הצבעה
        [close] סגירת סקר
        [unknown] לא ידוע
       *[other] { $kind }
    }

fact-server = שרת
state-online = מקוון
state-connecting = מתחבר
state-offline = לא מקוון; הניסיון חוזר מעצמו
fact-protection = הגנה
protected-by-nothing = אין: זה לא יוצא מהמחשב הזה
protected-post-quantum = TLS 1.3, עמיד לקוונטים
protected-classical = TLS 1.3, לא עמיד לקוונטים: ההודעות עמידות, הדרך לא
fact-group = קבוצה
fact-server-key = מפתח השרת
fact-lost = ניתוקים
lost-times = { $count ->
        [one] פעם אחת מאז שהמסך נפתח
        [two] פעמיים מאז שהמסך נפתח
       *[other] { $count } פעמים מאז שהמסך נפתח
    }
fact-latency = זמן תגובה
latency-measuring = במדידה…
latency = { $milliseconds } אלפיות שנייה לשאלה ולתשובה
measure-again = מדידה חוזרת

setting-theme = צבעים
setting-keymap = מקשים
setting-language = שפה
setting-graphics = תמונות
setting-notifications = התראות
setting-notifier = מציג התראות
setting-bell = פעמון
setting-receipts = אישורי קריאה
on = פועל
off = כבוי
settings-about = Enter עובר לערך הבא וכותב אותו לקובץ ההגדרות. התראות לא אומרות דבר, או שיש הודעה, או חדר ושולח, או גם את הטקסט; אחרים עלולים לראות את שולחן העבודה. מציג אותן המסוף, או שולחן העבודה, שאולי ישמור אותן. אישורי קריאה נכנסים לתוקף בהפעלה הבאה. מקשים משלך נכנסים לטבלה [keys] של הקובץ הזה.

## מה נעשה כעת

doing-create = החדר נוצר…
doing-direct = בחיפוש השיחה…
doing-invite = ההזמנה נשלחת…
doing-link = הקישור נוצר…
doing-ask = נשלחת בקשה להיכנס…
doing-let-in = בצירוף…
doing-remove = בהסרה…
doing-change-room = החדר משתנה…
doing-leave = בעזיבה…
doing-join = בהצטרפות…
doing-decline = בדחייה…
doing-approve-link = בהמתנה לאישור של המכשיר החדש…
doing-refuse-link = המכשיר נדחה…
doing-compare = המפתחות מתבקשים מהשרת…
doing-revoke = המכשיר יוצא מהחשבון…
doing-update-keys = המפתחות מתחדשים…
doing-quantum = בסימולציה…

## מה נעשה

done = הושלם.
done-cancelled = בוטל.
done-create = החדר מוכן. { $key } להזמנת אנשים.
done-direct = מה שנכתב כאן ייקרא בידי { $name }, ובידי אף אחד אחר.
done-direct-elsewhere = השיחה עם { $name } נמצאת בין החדרים.
done-invite = נשלחה הזמנה אל { $names }.
done-link = הקישור נמצא בלוח: מי שיש לו אותו יכול להיכנס במשך שבוע. הפקודה qchat room link מציגה קישורים ומבטלת אותם.
done-ask = הבקשה נשלחה ועוד אין תשובה. הכניסה תיפתח ברגע שאחד החברים יאשר.
done-let-in = { $name } בפנים.
done-remove = { $name } כבר לא בחדר.
done-change-room = השינוי נשמר.
done-leave = עזבת את החדר.
done-join = הצטרפת.
done-decline = ההזמנה נדחתה.
done-approve-link = { $device } הוא עכשיו מכשיר של החשבון הזה.
done-approve-link-it = המכשיר
done-refuse-link = נדחה: דבר לא נמסר.
done-verify = האימות של { $name } נשמר.
done-unverify = האימות של { $name } בוטל.
done-accept-identity = הזהות החדשה של { $name } אושרה; כדאי להשוות את המספר.
done-revoke = המכשיר בחוץ.
done-update-keys = למכשיר הזה יש כאן מפתחות חדשים.
done-delete-here = נמחק מהמכשיר הזה.
done-take-back = ההודעה לא תישלח.
done-retract = נמחק; מכשירים מקוונים שוכחים אותה עכשיו.
done-save-file = נשמר ב־{ $path }.
done-send-file = הקובץ נשלח.
done-copy = הועתק, אם המסוף נותן לתוכניות גישה ללוח (OSC 52).
nothing-changed = שום דבר לא השתנה.
device-gave-up = המכשיר החדש כבר לא ממתין.

## מה אי אפשר

cannot-be = זה לא אפשרי: { $why }.
cannot-be-poll = זה לא אפשרי: { $why }. לדוגמה: איפה ניפגש? | כאן | שם
pasted-too-long = מה שהודבק תופס { $size } בתים, והודעה לכל היותר { $most }: אפשר לשלוח כקובץ ({ $key }).
written-too-long = הטקסט תופס { $size } בתים, ובהודעה אחת נכנסים לכל היותר { $most }; אפשר לשלוח בחלקים.
no-such-command = אין פקודה /{ $name }; המקשים נמצאים ב־/help, ו־// בהתחלה כותב לוכסן.
no-user = { $name } אינו שם משתמש: { $why }.
needs-a-room = לשם כך צריך להיות בחדר.
say-one-name = יש לציין שם אחד; לכמה אנשים צריך חדר.
say-whom = יש לציין את מי.
say-which-file = יש לציין איזה קובץ.
no-shell = אין כאן מעטפת שתמשיך את התוכנית, ולכן היא אינה נעצרת.
under-way = הקובץ כבר בדרך.
is-a-notice = אפשר לעשות זאת בדברים שמישהו אמר, וזו הודעת מערכת.
only-texts-edited = אפשר לערוך רק טקסט.
only-own-edited = רק מי שכתב הודעה יכול לערוך אותה.
no-code = אין קוד בהודעה הזאת.
no-file = אין קובץ בהודעה הזאת.
no-picture = אין כאן תמונה שאפשר להציג: רק PNG, JPEG, GIF ו־WebP.
no-sound = אין בהודעה הזאת צליל שאפשר להשמיע.
no-player = לא נמצא נגן: אפשר להתקין mpv או ffmpeg, או לציין נגן ב־player בקובץ ההגדרות.
playing = { $name } מושמע… { $key } מסיים.
picture-no-colours = לתמונות דרושים יותר מ־16 צבעים, במסוף ובערכת הצבעים. { $key } שומר את הקובץ.
pictures-off = התמונות כבויות (graphics = none). { $key } שומר את הקובץ.
picture-too-large = גודל הקובץ { $size }, ואפשר להציג כאן עד { $most }. אפשר לשמור אותו במקום זה.
picture-too-many = בתמונה יותר מדי פיקסלים להצגה כאן. אפשר לשמור אותה במקום זה.
picture-broken = התמונה אינה מה שנטען שהיא, ואי אפשר להציג אותה.
picture-coming = הגיעו { $done } מתוך { $size }…
picture-size = { $width } × { $height } פיקסלים
may-be-program = קובץ מסוג זה יכול להיות תוכנית: כדאי לשמור אותו ולבדוק אותו קודם.
no-open-poll = זה לא סקר פתוח.
no-poll = זה לא סקר.
no-such-option = אין בסקר אפשרות כזאת.
no-more-votes = הסקר כבר לא מקבל הצבעות.
most-options = אפשר לבחור עד { $count } אפשרויות; יש לבטל קודם אחת.
waits-no-more = ההודעה כבר לא ממתינה; D מוחק אותה לכולם.
cannot-write = אי אפשר לכתוב כאן.
too-long-to-copy = זה ארוך מדי ללוח של מסוף.
answers-none = ההודעה הזאת אינה תשובה להודעה אחרת.
not-here = ההודעה הזאת אינה במכשיר הזה.
not-here-any-more = ההודעה הזאת כבר אינה במכשיר הזה.
room-is-gone = החדר שהיה פתוח כבר איננו; יש לבחור חדר אחר.
no-other-identity = כבר אין זהות אחרת לאשר.
no-desktop = שולחן העבודה אינו מציג התראות ({ $why }); המסוף מתבקש לעשות זאת במקומו.
file-not-opened = הקובץ נמצא ב־{ $path }, ואין תוכנית שפותחת אותו: { $why }
gave-up = הפעולה הופסקה; כדאי לנסות שוב
has-left = ההודעה כבר יצאה; אפשר למחוק אותה לכולם אם איש לא אמור לקרוא אותה
no-identity-of = ל־{ $name } כבר אין זהות אחרת לאשר
no-reaction = זו אינה תגובה
no-place-for-settings = אין תיקיית בית לקובץ ההגדרות; QCHAT_CONFIG אומר היכן לשים אותו.
settings-not-written = הקובץ לא נכתב; כדאי לנסות שוב.
editor-senseless = העורך { $editor } אינו מובן: { $why }
editor-none = לא צוין עורך
editor-no-file = אי אפשר למסור את הטקסט לעורך: { $why }
editor-no-start = העורך { $editor } לא נפתח: { $why }; יש להגדיר ב־EDITOR עורך שנפתח
editor-took-it = העורך לא השאיר את הטקסט במקומו ({ $why }); הטקסט נשאר כפי שהיה
editor-failed = העורך נכשל ({ $why }); הטקסט נשאר כשהיה

## התראות

notify-message = הודעה חדשה
notify-invitation = הזמנה מאת { $who }

## ההפעלה הראשונה

welcome-title = ברוכים הבאים אל qchat
welcome-step = ברוכים הבאים אל qchat · { $step } מתוך { $steps }
welcome-way = אין עדיין חשבון במחשב הזה. מה לעשות?
way-register = יצירת חשבון
way-register-about = צריך כתובת של שרת ושם.
way-link = קישור למכשיר האחר שלי
way-link-about = צריך מכשיר של החשבון לפניך, פועל: שניהם מציגים אותה תמונה, ומשווים.
way-restore = שחזור בעזרת מילות שחזור
way-restore-about = צריך את 24 המילים שהוצגו כשהחשבון נוצר, וגיבוי בשרת.
welcome-server = איזה שרת? הכתובת שלו מתחילה ב־https:// (ובמחשב הזה בלבד גם ב־http://). הוא מעביר את מה שנכתב, ולא יכול לקרוא ממנו דבר.
welcome-new-name = מה השם? לפיו אחרים מוצאים אותך: אותיות לטיניות קטנות, ספרות, נקודות ומקפים. אי אפשר לשנות אותו.
welcome-name = מה שם החשבון?
welcome-words = 24 מילות השחזור של החשבון, לפי הסדר. הן אינן מוצגות, ולעולם לא יוצאות מהמחשב הזה.
welcome-passphrase-there = משפט הסיסמה של החשבון, כמו במכשיר האחר.
welcome-passphrase = משפט סיסמה. הוא מצפין את כל מה שבמחשב הזה ופותח את החשבון; איש לא יכול לאפס אותו. טובות ארבע או חמש מילים שאין ביניהן קשר.
welcome-again = אותו דבר, פעם נוספת.
welcome-same = האם המכשיר האחר מציג אותו דבר?
welcome-that-backup = האם את זה לשחזר?
welcome-proof = כדי לוודא שהן על הנייר: מהי מילה { $place }?
welcome-new-words = החשבון מוכן. אלה מילות השחזור שלו: יש לכתוב אותן על נייר, בסדר הזה. הן הדרך היחידה חזרה אם המחשב הזה אבד או אם משפט הסיסמה נשכח, והחשבון הוא של מי שמחזיק בהן.
welcome-count = { $count ->
        [one] מילה אחת
        [two] שתי מילים
       *[other] { $count } מילים
    }
welcome-keys-way = ↑ ↓ בחירה · Enter להמשך · Esc ליציאה
welcome-keys-giving-up = Esc לוויתור · Ctrl+Q ליציאה
welcome-keys-none = רק רגע…
welcome-keys-asked = y כן · n לא · Esc חזרה
welcome-keys-shown = ↑ ↓ לכולן · Enter: הן על הנייר
welcome-keys = Enter להמשך · Esc חזרה · Ctrl+Q ליציאה
strength = { $strength ->
        [fair] סביר
        [good] טוב
       *[strong] חזק
    }
weak-short = במשפט הסיסמה יש { $characters } תווים, ו־{ $least } הם המינימום: כדאי לקחת כמה מילים שאין ביניהן קשר
weak-tried = משפט הסיסמה הוא מהראשונים שמנסים
weak-tried-why = משפט הסיסמה הוא מהראשונים שמנסים: { $why }
bad-name = זה לא יכול להיות שם: { $why }.
bad-words = אלה אינן מילות שחזור: { $why }.
no-passphrase = עדיין לא הוקלד דבר.
not-the-same = זה לא אותו דבר; יש להקליד שוב, או Esc למשפט אחר.
halfway = לא כדאי לעצור את זה באמצע; זה לוקח רגע. Ctrl+Q יוצא בכל זאת, ושורת הפקודה תשלים את זה.
account-is-there = החשבון כבר קיים. Ctrl+Q ליציאה; `qchat recovery confirm` מציג את המילים שוב.
wrong-word = זו לא המילה שכתובה שם.
going-on = ממשיכים…
going-back = חוזרים…
forgetting-words = המילים נשכחות כאן…
making-account = מפתחות נוצרים והחשבון נרשם…
deriving-key = מפתח נוצר ממשפט הסיסמה…
making-keys = מפתחות נוצרים…
registering = החשבון נרשם…
waiting-for-device = בהמתנה למכשיר של החשבון: יש לפתוח בו את qchat, או להריץ `qchat device approve`.
waiting-for-yes = בהמתנה לאישור של המכשיר האחר…
taking-over = קבלת מה שהמכשיר האחר מוסר…
looking-for-backups = בחיפוש גיבויים…
making-device = המחשב הזה נעשה מכשיר של החשבון…
fetching-backup = הבאת הגיבוי: { $done } מתוך { $of }
backup-offered = יש גיבוי מתאריך { $at } עם { $messages } הודעות.
backups-of-others = יש { $count } של מכשירים אחרים; `qchat backup restore --from` בוחר אחד.
