### Die Worte des Bildschirms auf Deutsch, mit „du“. Was zu beachten ist, steht in der englischen Datei.

## Zahlen und Daten

decimal-mark = ,
day-line = { $weekday ->
        [1] Montag
        [2] Dienstag
        [3] Mittwoch
        [4] Donnerstag
        [5] Freitag
        [6] Samstag
       *[7] Sonntag
    }, { $day }. { $month ->
        [1] Januar
        [2] Februar
        [3] März
        [4] April
        [5] Mai
        [6] Juni
        [7] Juli
        [8] August
        [9] September
        [10] Oktober
        [11] November
       *[12] Dezember
    } { $year }

## Der Bildschirm als Ganzes

too-small = Das Terminal ist zu klein: qchat braucht { $columns } Spalten und { $rows } Zeilen.
reading = Wird gelesen …
asking-server = Der Server wird gefragt …
lock-why = Gesperrt: Eine Weile hat niemand eine Taste gedrückt.
lock-passphrase = Passphrase: { $typed }
lock-trying = Wird geprüft …
lock-quit = Ctrl+Q beendet.
trouble = ! { $why }  (Esc)
by-palette = „{ $action }“ in der Palette
the-palette = die Palette

## Die Liste der Räume

rooms-title = Räume
rooms-find = Suche: { $typed }▏
room-invited = eingeladen
room-removed = entfernt
room-stuck = hängt
room-left = verlassen
room-blocked = blockiert
room-archived = archiviert
no-rooms = Noch keine Räume.
no-rooms-hint = { $key } legt einen an; Einladungen von anderen erscheinen von selbst.
nothing-said = Hier hat noch niemand etwas geschrieben.
somebody = Jemand
invitation-from = { $who } lädt dich in „{ $room }“ ein.
invitation-keys = { $join } tritt bei, { $decline } lehnt ab. Bevor du dich entscheidest, wird nichts gesendet.

## Der Verlauf

unread-line = neu
deleted-by = (gelöscht von { $name })
deleted = (gelöscht)
blocked = (blockiert)
edited-mark = (bearbeitet)
unknown-kind = (eine Art von Nachricht, die diese Version nicht kennt; ein neueres qchat zeigt sie)
no-sender = eine Nachricht ohne Absender
could-not-be-sent = (konnte nicht gesendet werden)
reply-missing = eine Nachricht, die nicht auf diesem Gerät ist
pinned-by = angeheftet von { $name }
file-line = [{ $voice ->
        [yes] Sprachnachricht
       *[no] Datei
    } { $name }, { $size }]
file-line-playing = [{ $voice ->
        [yes] Sprachnachricht
       *[no] Datei
    } { $name }, { $size }, { $seconds } s]
poll-line = Umfrage: { $question }
poll-choices = (bis zu { $count })
poll-closed = (beendet)

detail-written = geschrieben { $at }
detail-waits = wartet darauf, gesendet zu werden; niemand hat sie
detail-failed = konnte nicht gesendet werden; niemand hat sie
detail-stored = der Server hat sie; versiegelt in Epoche { $epoch }
detail-with = angekommen bei { $names }
detail-seen = gesehen von { $names }
detail-goes = verschwindet { $at }
detail-edits = { $count ->
        [one] einmal bearbeitet
       *[other] { $count }-mal bearbeitet
    }
detail-file = Datei { $id }
detail-id = ID { $id }
detail-device = Gerät { $id }

## Wer da ist und wer schreibt

presence-online = online
presence-away = abwesend
last-seen = zuletzt da { $at }
who-writes = { $count ->
        [1] { $first } schreibt …
        [2] { $first } und { $second } schreiben …
        [3] { $first }, { $second } und { $third } schreiben …
       *[other] { $count } Leute schreiben …
    }

## Über und unter dem, was geschrieben wird

which-room = Welcher Raum?
answering = ↪ an { $name }: { $excerpt } (Esc: keine Antwort)
editing = Bearbeiten (Esc: wie zuvor)
new-below = { $room } · ↓ { $count } neue darunter ({ $key })
answer-keys = { $yes }: ja   { $no }: nein
invitation-hint = { $join }: beitreten   { $decline }: ablehnen
was-removed = Du wurdest aus diesem Raum entfernt; was vorher gesagt wurde, bleibt lesbar.
is-stuck = Dieses Gerät kann dem Raum nicht mehr folgen; ein Mitglied muss es neu hinzufügen.
was-left = Du hast diesen Raum verlassen.
creates-a-room = { $key } legt einen Raum an.
blocked-by = ! Der Identitätsschlüssel von { $name } hat sich geändert: Hier wird nichts gesendet. Frag { $name } auf einem anderen Weg und nimm ihn dann an, oder entferne { $name }: { $key }.

preview = für { $people ->
        [one] { $people } Person
       *[other] { $people } Personen
    } auf { $devices ->
        [one] { $devices } Gerät
       *[other] { $devices } Geräten
    }{ $unverified ->
        [0] { "" }
       *[other] , { $unverified } nicht verifiziert
    }: { $bytes } Bytes, was auch immer darin steht, versiegelt in Epoche { $epoch } mit { $suite }.
preview-more = { $key } nennt sie.
preview-reader = { $trust ->
        [own] du
        [verified] ✓ verifiziert
        [changed] ! geändert
       *[unverified] ? nicht verifiziert
    }: { $name }, { $devices }
preview-rest = und { $count } mehr: { $key } zeigt alle

## Die Statuszeile

online = online
online-by = online ({ $group })
online-classical = online ({ $group }, nicht post-quantum)
connecting = verbindet …
offline = offline: { $why }
status-help = { $key } Hilfe
people-here = { $members ->
        [one] { $members } Mitglied
       *[other] { $members } Mitglieder
    }{ $invited ->
        [0] { "" }
       *[other] , { $invited } eingeladen
    }{ $verified ->
        [0] { "" }
       *[other] , { $verified } verifiziert
    }
epoch = Epoche { $epoch }
to-send = { $count } zu senden
files-on-the-way = { $count ->
        [one] { $count } Datei unterwegs
       *[other] { $count } Dateien unterwegs
    }
unread-elsewhere = { $count } ungelesen anderswo

## Was gefragt wird

the-room = Raum
prompt-room-name = Name des neuen Raums (Enter legt an, Esc bricht ab)
prompt-invitees = Wen in { $room } einladen? (Namen; Esc bricht ab)
prompt-link = Welcher Einladungslink? (einfügen; Esc bricht ab)
prompt-applicant = Wen, der darum bittet, in { $room } einlassen? (ein Name; Esc bricht ab)
prompt-new-name = Ein anderer Name für { $room }?
prompt-topic = Worum geht es in { $room }? (leer: kein Thema)
prompt-person = Wem allein schreiben? (ein Name; Esc bricht ab)
prompt-file = Welche Datei an { $room } senden? (ihr Pfad)
prompt-poll = Was fragen? (zum Beispiel: Wo treffen wir uns? | hier | dort)
question-join = { $room } beitreten?
question-decline = Die Einladung in { $room } ablehnen?
question-link = Zeigen beide Geräte dasselbe?
question-leave = { $room } verlassen? Was gesagt wurde, bleibt hier; Neues kommt nicht mehr.
question-delete-here = Von diesem Gerät löschen? Die anderen behalten sie.
question-retract = Für alle löschen? Ihre Geräte werden darum gebeten; wer sie gelesen hat, hat sie gelesen.
question-paste = { $lines ->
        [one] { $lines } Zeile in den Text einfügen?
       *[other] { $lines } Zeilen in den Text einfügen?
    }
question-same = Hat { $name } dir dieselbe Nummer vorgelesen?
question-unverify = Zurücknehmen, dass { $name } verifiziert ist?
question-accept-identity = Mit { $name } unter dem gezeigten Schlüssel weitermachen? Frag vorher auf anderem Weg nach.
question-remove = { $name } aus { $room } entfernen?
question-revoke = { $device } aus dem Konto nehmen? Das Gerät verliert sofort alles.
link-request = „{ $name }“ möchte ein Gerät dieses Kontos werden; gefragt hat es um { $time }. Sag nur ja, wenn du es vor dir hast: Es bekommt den Schlüssel des Kontos und kommt in alle Räume.

## Die Hinweise in der letzten Zeile

hint-back = zurück
hint-cancel = abbrechen
hint-choose = wählen
hint-close = schließen
hint-complete = ergänzen
hint-copy = kopieren
hint-decline = ablehnen
hint-delete = löschen
hint-details = mehr
hint-edit = bearbeiten
hint-go-ahead = weiter
hint-go-to = gehe zu
hint-help = Hilfe
hint-join = beitreten
hint-members = Mitglieder
hint-messages = Nachrichten
hint-more = weiter
hint-next = nächstes
hint-next-room = nächster Raum
hint-no = nein
hint-open = öffnen
hint-original = Original
hint-other = anderes
hint-pin = anheften
hint-play = abspielen
hint-react = reagieren
hint-reply = antworten
hint-save-file = Datei sichern
hint-look-at = ansehen
hint-search = suchen
hint-send = senden
hint-settings = Einstellungen
hint-take = nehmen
hint-unread = ungelesen
hint-yes = ja
hint-yes-the-same = ja, dasselbe

## Die Hilfe

help-close = Esc: schließen
help-more = PgDn: weiter
scope-composer = Schreiben
scope-completing = Solange ein Wort ergänzt werden kann
scope-blank = Solange nichts getippt ist
scope-rooms = Räume
scope-filter = Einen Raum suchen
scope-timeline = Eine ausgewählte Nachricht
scope-picture = Ein Bild, das angesehen wird
scope-invitation = Eine Einladung
scope-everywhere = Überall
scope-list = Palette, Suche und Reaktionen
scope-panel = Ansichten
scope-prompt = Eine Eingabe
scope-question = Eine Frage
scope-device = Ein Gerät, das eingelassen werden will
scope-help = Diese Hilfe

action-send = die Nachricht senden
action-newline = eine neue Zeile beginnen
action-history-older = eine frühere eigene Nachricht, um sie wieder zu senden
action-history-newer = zurück zu dem, was du gerade schreibst
action-editor = im eigenen Editor schreiben
action-next-candidate = das Wort ergänzen, dann der nächste Vorschlag
action-previous-candidate = der Vorschlag davor
action-attach = eine Datei senden
action-preview = wer es lesen kann: gezählt, dann mit Namen, dann nicht mehr
action-next-room = nächster Raum
action-previous-room = voriger Raum
action-next-unread = nächster Raum mit Ungelesenem
action-filter-rooms = einen Raum durch Tippen finden
action-create-room = einen Raum anlegen
action-direct = jemandem allein schreiben
action-join-by-link = einem Raum mit einem Link beitreten
action-invite = Leute in diesen Raum einladen
action-make-link = einen Einladungslink machen
action-let-in = jemanden einlassen, der darum bittet
action-rename = dem Raum einen anderen Namen geben
action-topic = sagen, worum es in dem Raum geht
action-leave = den Raum verlassen (fragt vorher)
action-poll = eine Frage mit Antworten zur Auswahl stellen
action-accept = dem Raum beitreten (fragt vorher)
action-decline = ablehnen (fragt vorher)
action-page-up = ältere Nachrichten
action-page-down = neuere Nachrichten
action-oldest = älteste geladene Nachricht
action-newest = neueste Nachricht
action-select = eine Nachricht auswählen, um etwas mit ihr zu tun
action-up = nach oben
action-down = nach unten
action-first = die erste
action-last = die letzte
action-reply = darauf antworten
action-edit = sie bearbeiten
action-delete-here = sie von diesem Gerät löschen (fragt vorher)
action-delete-everywhere = sie für alle löschen (fragt vorher)
action-react = reagieren oder eine Reaktion zurücknehmen
action-copy = ihren Text kopieren
action-copy-code = nur ihren Code kopieren
action-pin = sie anheften oder wieder lösen
action-save-file = ihre Datei in die Downloads sichern
action-open-file = ihre Datei sichern und öffnen
action-look = ihr Bild ansehen; das neueste, wo keine Nachricht ausgewählt ist
action-play = ihren Ton abspielen oder das beenden; den neuesten, wo keine Nachricht ausgewählt ist
action-original = zu der Nachricht, auf die sie antwortet
action-back = von dort zurück
action-vote = für die Antwort mit dieser Nummer stimmen oder die Stimme zurücknehmen
action-close-poll = eine eigene Umfrage beenden
action-details = wer sie bekommen und gelesen hat und wie es um sie steht
action-give-up = sie nicht mehr senden, solange sie wartet
action-write = zurück zum Schreiben
action-palette = zu einem Raum, einer Person oder einem Befehl durch Tippen
action-search = alle Räume durchsuchen
action-members = Mitglieder und Vertrauen
action-keys = Schlüssel, Geräte und Backups
action-security-log = was mit dem Konto geschehen ist
action-quantum = Quantenjobs und der Vorrat
action-transfers = Dateien unterwegs und was noch zu senden ist
action-connection = die Verbindung
action-settings = Einstellungen
action-help = diese Hilfe und zurück
action-suspend = anhalten, bis die Shell mit `fg` weitermacht
action-quit = beenden
action-dismiss = wegräumen, was gemeldet ist; abbrechen
action-yes = ja
action-no = nein
action-submit = weiter
action-complete = das Wort ergänzen
action-choose = das Gewählte nehmen
action-other = das andere, was dort geht

## Palette, Reaktionen und Suche

palette-title = Zu einem Raum, einer Person oder einem Befehl
reactions-title = Reagieren mit (ein Name oder ein Emoji)
nothing-fits = Nichts passt.
pick-invitation = Einladung
pick-room = Raum
pick-person = Person
pick-unread = { $count } ungelesen
pick-mentions = { $count } ungelesen, @{ $mentions }
pick-take-back = zurücknehmen
search-title = Alle Räume durchsuchen: Wörter, "ganze Sätze", from:NAME in:RAUM before:DATUM has:link
search-running = Wird gesucht …
search-nothing = Nichts gefunden
search-found = { $count ->
        [one] { $count } Nachricht{ $more }
       *[other] { $count }{ $more } Nachrichten
    }

## Ansichten

panel-members = Mitglieder und Vertrauen
panel-keys = Schlüssel und Geräte
panel-log = Sicherheitsprotokoll
panel-quantum = Quanten
panel-transfers = Dateien und Ausgang
panel-connection = Verbindung
panel-settings = Einstellungen
fact-state = Zustand
fact-epoch = Epoche

no-room-open = Es ist kein Raum offen, oder er wird noch gelesen.
members-heading = { $room }: { $count ->
        [one] { $count } Mitglied
       *[other] { $count } Mitglieder
    }
members-hint = Enter vergleicht die Sicherheitsnummer mit jemandem oder nimmt eine geänderte Identität an.
members-hint-remove = x entfernt jemanden.
member-device = Gerät { $id }
member-devices = { $count ->
        [one] { $count } Gerät
       *[other] { $count } Geräte
    }
member-invited = eingeladen
role-owner = besitzt den Raum
role-admin = verwaltet
role-reader = liest nur
trust-you = du
trust-changed = ! Identität geändert: Bis du sie annimmst, wird nichts gesendet
trust-verified = ✓ verifiziert
trust-none = nicht verifiziert

change-heading = { $name } hat eine andere Identität
change-recovered = Der Wiederherstellungsschlüssel, unter dem dieses Gerät { $name } kennt, hat sie unterschrieben: { $name } hat das Konto wiederhergestellt – oder wer sonst die Wiederherstellungswörter hat.
change-unvouched = Nichts, was dieses Gerät von { $name } weiß, steht dafür ein: Sie kann von jedem stammen, vom Server zuallererst. Frag { $name } auf einem anderen Weg.
change-taken-back = Der Server zeigt wieder den Schlüssel, den dieses Gerät schon immer kennt.
key-known = Der Schlüssel, der hier bekannt ist
key-shown = Der Schlüssel, den der Server zeigt
key-accept = Mit dem neuen Schlüssel weitermachen

compare-heading = Du und { $name }
compare-done = Du hast diese Nummer schon einmal verglichen.
compare-how = Lest sie einander auf einem Weg vor, auf dem ihr Stimme oder Gesicht des anderen erkennt. Alle Ziffern müssen gleich sein: Andere Bilder beweisen einen vertauschten Schlüssel, gleiche Bilder allein beweisen wenig.
compare-stale = Der Server war nicht zu erreichen: Das ist, was hier gespeichert ist.
compare-take-back = Zurücknehmen, dass die Person verifiziert ist
compare-same = Beide sehen dieselbe Nummer
fingerprint = Fingerabdruck { $hex }

identity-heading = Identitätsschlüssel von { $name } (SHA-384)
devices-heading = Geräte des Kontos
devices-hint = x nimmt ein Gerät aus dem Konto.
device-no-name = (kein Name)
device-since = seit { $at }
device-seen = gesehen { $at }
device-this = dieses
room-keys-heading = Schlüssel von { $room }
fact-suite = Verfahren
fact-last-update = erneuert
not-yet = noch nicht
fact-mixed = beigemischt
mixed-since = { $kind } seit Epoche { $epoch }
update-keys = Die Schlüssel jetzt erneuern
backups-heading = Backups beim Server
backups-none = Es gibt keines: Wer alle Geräte verliert, verliert den Verlauf. `qchat backup create` legt eines an.
unknown-time = zu unbekannter Zeit
this-device = diesem Gerät
backup-line = { $at }  { $messages } Nachrichten, { $size }, von { $device }

log-intro = Was der Server darüber sagt, wer sich angemeldet hat und was versucht wurde. Erkennst du etwas nicht wieder, nimm das Gerät heraus ({ $key }).
nothing-yet = Noch nichts.

pool-heading = Vorrat
fact-level = Füllstand
fact-quantum = Quanten
fact-simulated = simuliert
pool-keys = { $count } Schlüssel
pool-quantum = { $bits } Bits, die der Betreiber gesehen hat
pool-simulated = { $bits } Bits, die nichts beitragen
start-heading = Auf dem Simulator dieses Rechners starten
start-qrng = Zufallsbits für den Vorrat
start-chsh = Ein CHSH-Test
start-bb84 = Ein Lauf von BB84: eine Übung, die nichts geheim macht
jobs-heading = Jobs
jobs-none = Noch keine.
job-state = { $state ->
        [prepared] bereit
        [submitting] im Versand
        [queued] wartet
        [running] läuft
        [measured] gemessen
        [done] fertig
        [failed] misslungen
        [cancelled] beendet
       *[other] { $state }
    }
job-simulated = { $backend }, simuliert
job-bits = { $bits } Bits
job-instead = statt { $backend }: { $why }
qber-heading = Fehlerrate des letzten Laufs (QBER)
fact-qber = QBER
qber-line = { $rate } % (95 %: { $from } bis { $to }); die Grenze ist 11 %
fact-over-the-run = im Verlauf
fact-last-s = letztes S
chsh-heading = CHSH
chsh-line = { $value } ± { $error }; über 2 führt nur Verschränkung
fact-history = frühere

files-heading = Dateien
files-none = Keine, seit der Bildschirm offen ist.
file-far = { $done } von { $size }
file-at = liegt in { $path }
file-sent = gesendet
file-failed = { $why } (Enter: noch einmal)
unsent-heading = Noch nicht gesendet
unsent-none = Alles ist gesendet.
unsent-hint = x sendet nicht mehr, was wartet.
unsent-at = um { $time }
unsent-waits = wartet
unsent-on-its-way = unterwegs
unsent-failed = nicht zu senden
unsent-room = ein Raum
unsent-kind = { $kind ->
        [text] Text
        [poll] Umfrage
        [file] Datei
        [receipt] Quittung
        [profile] Profil
        [joined] Beitritt
        [key] Schlüssel
        [exercise] Übung
        [edit] Bearbeitung
        [delete] Löschung
        [reaction] Reaktion
        [pin] Anheften
        [vote] Stimme
        [close] Ende einer Umfrage
        [unknown] Unbekanntes
       *[other] { $kind }
    }

fact-server = Server
state-online = online
state-connecting = verbindet
state-offline = offline; es wird von selbst wieder versucht
fact-protection = geschützt durch
protected-by-nothing = nichts: Es verlässt diesen Rechner nicht
protected-post-quantum = TLS 1.3, post-quantum
protected-classical = TLS 1.3, nicht post-quantum: Die Nachrichten sind es, der Weg nicht
fact-group = Gruppe
fact-server-key = Serverschlüssel
fact-lost = abgerissen
lost-times = { $count }-mal, seit der Bildschirm offen ist
fact-latency = Antwortzeit
latency-measuring = wird gemessen …
latency = { $milliseconds } ms für eine Frage und ihre Antwort
measure-again = Noch einmal messen

setting-theme = Farben
setting-keymap = Tastenbelegung
setting-language = Sprache
setting-graphics = Bilder
setting-notifications = Meldungen
setting-notifier = Meldungen durch
setting-bell = Glocke
setting-receipts = Bestätigungen
on = an
off = aus
settings-about = Enter geht zum nächsten Wert und schreibt ihn in die Konfigurationsdatei. Meldungen sagen nichts, oder dass es eine Nachricht gibt, oder Raum und Absender, oder auch den Text; andere können den Desktop sehen. Es zeigt sie das Terminal oder der Desktop, der sie vielleicht behält. Bestätigungen gelten ab dem nächsten Start. Eigene Tasten stehen in der Tabelle [keys] dieser Datei.

## Was gerade geschieht

doing-create = Der Raum wird angelegt …
doing-direct = Die Unterhaltung wird gesucht …
doing-invite = Wird eingeladen …
doing-link = Der Link wird gemacht …
doing-ask = Es wird um Einlass gebeten …
doing-let-in = Wird eingelassen …
doing-remove = Wird entfernt …
doing-change-room = Der Raum wird geändert …
doing-leave = Der Raum wird verlassen …
doing-join = Du trittst bei …
doing-decline = Wird abgelehnt …
doing-approve-link = Das neue Gerät muss noch ja sagen …
doing-refuse-link = Das Gerät wird abgewiesen …
doing-compare = Der Server wird nach den Schlüsseln gefragt …
doing-revoke = Das Gerät wird herausgenommen …
doing-update-keys = Die Schlüssel werden erneuert …
doing-quantum = Wird simuliert …

## Was geschehen ist

done = Fertig.
done-cancelled = Abgebrochen.
done-create = Der Raum ist da. { $key } lädt Leute ein.
done-direct = Was du hier schreibst, liest { $name } und sonst niemand.
done-direct-elsewhere = Die Unterhaltung mit { $name } steht bei den Räumen.
done-invite = Eingeladen: { $names }.
done-link = Der Link ist in der Zwischenablage: Wer ihn hat, kommt eine Woche lang herein. qchat room link zeigt und beendet Links.
done-ask = Du hast gefragt; noch hat niemand geantwortet. Du kommst herein, sobald dich ein Mitglied einlässt.
done-let-in = { $name } ist drin.
done-remove = { $name } ist entfernt.
done-change-room = Geändert.
done-leave = Du hast den Raum verlassen.
done-join = Du bist drin.
done-decline = Abgelehnt.
done-approve-link = { $device } ist jetzt ein Gerät dieses Kontos.
done-approve-link-it = Es
done-refuse-link = Abgewiesen: Nichts wurde übergeben.
done-verify = { $name } ist verifiziert.
done-unverify = { $name } ist nicht mehr verifiziert.
done-accept-identity = Du hast die neue Identität von { $name } angenommen; vergleicht nun die Nummer.
done-revoke = Das Gerät ist draußen.
done-update-keys = Dieses Gerät hat hier frische Schlüssel.
done-delete-here = Von diesem Gerät gelöscht.
done-take-back = Sie wird nicht gesendet.
done-retract = Gelöscht; Geräte, die online sind, vergessen sie jetzt.
done-save-file = Gesichert in { $path }.
done-send-file = Die Datei ist gesendet.
done-copy = Kopiert, falls das Terminal Programme an die Zwischenablage lässt (OSC 52).
nothing-changed = Nichts wurde geändert.
device-gave-up = Das neue Gerät wartet nicht mehr.

## Was nicht geht

cannot-be = Das geht nicht: { $why }.
cannot-be-poll = Das geht nicht: { $why }. Zum Beispiel: Wo treffen wir uns? | hier | dort
pasted-too-long = Das Eingefügte hat { $size } Bytes, eine Nachricht höchstens { $most }: Sende es als Datei ({ $key }).
written-too-long = Der Text hat { $size } Bytes, und in eine Nachricht passen höchstens { $most }; sende ihn in Teilen.
no-such-command = Den Befehl /{ $name } gibt es nicht; /help hat die Tasten, und // am Anfang sagt einen Schrägstrich.
no-user = { $name } ist kein Benutzername: { $why }.
needs-a-room = Dafür brauchst du einen Raum, in dem du bist.
say-one-name = Nenne einen Namen; für mehrere Leute braucht es einen Raum.
say-whom = Sag, wen.
say-which-file = Sag, welche Datei.
no-shell = Hier ist keine Shell, die das Programm weiterlaufen ließe; darum hält es nicht an.
under-way = Sie ist schon unterwegs.
is-a-notice = Das geht mit etwas, das jemand gesagt hat; dies ist ein Hinweis.
only-texts-edited = Nur ein Text lässt sich bearbeiten.
only-own-edited = Eine Nachricht bearbeitet nur, wer sie geschrieben hat.
no-code = In dieser Nachricht ist kein Code.
no-file = In dieser Nachricht ist keine Datei.
no-picture = Hier ist kein Bild, das angesehen werden kann: Das sind PNG, JPEG, GIF und WebP.
no-sound = In dieser Nachricht ist kein Ton, der abgespielt werden kann.
no-player = Kein Abspieler gefunden: Installiere mpv oder ffmpeg, oder nenne einen mit player in der Konfigurationsdatei.
playing = { $name } wird abgespielt … { $key } beendet es.
picture-no-colours = Bilder brauchen mehr als 16 Farben, vom Terminal und vom Aussehen. { $key } sichert die Datei.
pictures-off = Bilder sind abgeschaltet (graphics = none). { $key } sichert die Datei.
picture-too-large = Die Datei hat { $size }; was hier angesehen wird, darf { $most } haben. Sichere sie stattdessen.
picture-too-many = Das Bild hat zu viele Pixel, um hier angesehen zu werden. Sichere es stattdessen.
picture-broken = Das Bild ist nicht, was es zu sein behauptet, und kann nicht gezeigt werden.
picture-coming = { $done } von { $size } sind da …
picture-size = { $width } × { $height } Pixel
may-be-program = Eine solche Datei kann ein Programm sein: Sichere sie und sieh sie dir erst an.
no-open-poll = Das ist keine offene Umfrage.
no-poll = Das ist keine Umfrage.
no-such-option = Diese Antwort gibt es in der Umfrage nicht.
no-more-votes = Die Umfrage nimmt keine Stimmen mehr an.
most-options = Bis zu { $count } Antworten lassen sich wählen; nimm erst eine zurück.
waits-no-more = Sie wartet nicht mehr; D löscht sie für alle.
cannot-write = Hier kann nichts geschrieben werden.
too-long-to-copy = Das ist zu lang für die Zwischenablage eines Terminals.
answers-none = Diese Nachricht antwortet auf keine.
not-here = Diese Nachricht ist nicht auf diesem Gerät.
not-here-any-more = Diese Nachricht ist nicht mehr auf diesem Gerät.
room-is-gone = Der Raum, der offen war, ist weg; wähle einen anderen.
no-other-identity = Es gibt keine andere Identität mehr anzunehmen.
no-desktop = Der Desktop zeigt keine Meldungen ({ $why }); stattdessen wird das Terminal darum gebeten.
file-not-opened = Sie liegt in { $path }, und kein Programm öffnet sie: { $why }
gave-up = es wurde aufgegeben; versuch es noch einmal
has-left = sie ist schon fort; lösche sie für alle, wenn niemand sie lesen soll
no-identity-of = { $name } hat keine andere Identität mehr, die anzunehmen wäre
no-reaction = das ist keine Reaktion
no-place-for-settings = Es gibt kein Home-Verzeichnis für eine Konfigurationsdatei; sag mit QCHAT_CONFIG, wo sie liegen soll.
settings-not-written = Die Datei wurde nicht geschrieben; versuch es noch einmal.
editor-senseless = der Editor { $editor } ergibt keinen Sinn: { $why }
editor-none = kein Editor ist genannt
editor-no-file = der Text lässt sich keinem Editor übergeben: { $why }
editor-no-start = der Editor { $editor } startet nicht: { $why }; setze EDITOR auf einen, der es tut
editor-took-it = der Editor hat den Text nicht dort gelassen, wo er war ({ $why }); der Text ist, wie er war
editor-failed = der Editor ist gescheitert ({ $why }); der Text ist wie zuvor

## Meldungen auf dem Desktop

notify-message = eine neue Nachricht
notify-invitation = { $who } lädt dich ein

## Der erste Start

welcome-title = Willkommen bei qchat
welcome-step = Willkommen bei qchat · { $step } von { $steps }
welcome-way = Auf diesem Rechner gibt es noch kein Konto. Was möchtest du tun?
way-register = Ein Konto anlegen
way-register-about = Du brauchst die Adresse eines Servers und einen Namen.
way-link = Mit meinem anderen Gerät verbinden
way-link-about = Du brauchst ein eingeschaltetes Gerät des Kontos vor dir: Beide zeigen dasselbe Bild, und du vergleichst.
way-restore = Mit Wiederherstellungswörtern zurückholen
way-restore-about = Du brauchst die 24 Wörter, die beim Anlegen des Kontos gezeigt wurden, und ein Backup beim Server.
welcome-server = Welcher Server? Seine Adresse beginnt mit https:// (http:// nur auf diesem Rechner). Er reicht weiter, was du schreibst, und kann nichts davon lesen.
welcome-new-name = Wie heißt du? Unter diesem Namen finden dich andere: kleine Buchstaben, Ziffern, Punkte und Striche. Er lässt sich nicht ändern.
welcome-name = Wie heißt dein Konto?
welcome-words = Die 24 Wiederherstellungswörter des Kontos, der Reihe nach. Sie werden nicht angezeigt und verlassen diesen Rechner nie.
welcome-passphrase-there = Die Passphrase des Kontos, wie auf deinem anderen Gerät.
welcome-passphrase = Eine Passphrase. Sie verschlüsselt alles auf diesem Rechner und öffnet dein Konto; niemand kann sie zurücksetzen. Gut sind vier oder fünf Wörter, die nichts miteinander zu tun haben.
welcome-again = Noch einmal dieselbe.
welcome-same = Zeigt dein anderes Gerät dasselbe?
welcome-that-backup = Soll dieses wiederhergestellt werden?
welcome-proof = Damit sicher ist, dass sie auf Papier stehen: Wie heißt Wort { $place }?
welcome-new-words = Dein Konto ist da. Das sind seine Wiederherstellungswörter: Schreib sie in dieser Reihenfolge auf Papier. Nur mit ihnen kommst du zurück, wenn du diesen Rechner verlierst oder die Passphrase vergisst, und wer sie hat, hat das Konto.
welcome-count = { $count ->
        [one] { $count } Wort
       *[other] { $count } Wörter
    }
welcome-keys-way = ↑ ↓ wählen · Enter weiter · Esc verlassen
welcome-keys-giving-up = Esc gibt auf · Ctrl+Q verlässt
welcome-keys-none = Einen Moment …
welcome-keys-asked = y ja · n nein · Esc zurück
welcome-keys-shown = ↑ ↓ alle ansehen · Enter: auf Papier
welcome-keys = Enter weiter · Esc zurück · Ctrl+Q verlässt
strength = { $strength ->
        [fair] mäßig
        [good] gut
       *[strong] stark
    }
weak-short = die Passphrase hat { $characters } Zeichen, und { $least } sind das Mindeste: Nimm mehrere Wörter, die nichts miteinander zu tun haben
weak-tried = die Passphrase ist unter den ersten, die ausprobiert werden
weak-tried-why = die Passphrase ist unter den ersten, die ausprobiert werden: { $why }
bad-name = Das kann kein Name sein: { $why }.
bad-words = Das sind keine Wiederherstellungswörter: { $why }.
no-passphrase = Es gibt noch keine.
not-the-same = Sie ist nicht gleich; tippe sie noch einmal, oder Esc für eine andere.
halfway = Das sollte nicht mittendrin abgebrochen werden; es dauert einen Moment. Ctrl+Q verlässt es trotzdem, und die Befehlszeile führt es zu Ende.
account-is-there = Das Konto ist schon da. Ctrl+Q verlässt; `qchat recovery confirm` zeigt die Wörter noch einmal.
wrong-word = Das ist nicht das Wort, das dort steht.
going-on = Es geht weiter …
going-back = Es geht zurück …
forgetting-words = Die Wörter werden hier vergessen …
making-account = Schlüssel werden erzeugt, das Konto wird angemeldet …
deriving-key = Aus der Passphrase wird ein Schlüssel …
making-keys = Schlüssel werden erzeugt …
registering = Das Konto wird angemeldet …
waiting-for-device = Ein Gerät des Kontos muss antworten: Öffne dort qchat, oder rufe `qchat device approve` auf.
waiting-for-yes = Das andere Gerät muss noch ja sagen …
taking-over = Was das andere Gerät gibt, wird übernommen …
looking-for-backups = Backups werden gesucht …
making-device = Dieser Rechner wird ein Gerät des Kontos …
fetching-backup = Das Backup wird geholt: { $done } von { $of }
backup-offered = Es gibt ein Backup vom { $at } mit { $messages } Nachrichten.
backups-of-others = Es gibt { $count } von anderen Geräten; `qchat backup restore --from` nennt eines.
