//! The tables of /migrations/client as diesel sees them.

diesel::table! {
    identity (id) {
        id -> Integer,
        account -> Binary,
        device -> Binary,
        name -> Text,
        server_url -> Text,
        server_id -> Binary,
        device_key -> Binary,
        account_key -> Binary,
        certificate -> Binary,
        list_version -> BigInt,
        server_key -> Nullable<Text>,
        labelled -> Bool,
    }
}

diesel::table! {
    linking (id) {
        id -> Integer,
        hello -> Binary,
        nonce -> Binary,
        device_key -> Binary,
        transfer -> Binary,
        answer -> Binary,
        token -> Text,
    }
}

diesel::table! {
    answered (id) {
        id -> Integer,
        link -> Binary,
        commitment -> Binary,
        answer -> Binary,
        transfer -> Binary,
    }
}

diesel::table! {
    handed (account) {
        account -> Binary,
        name -> Text,
        pinned -> Binary,
        verified -> Bool,
        first_seen_ms -> BigInt,
    }
}

diesel::table! {
    recovery (id) {
        id -> Integer,
        shield -> Binary,
        recovery_key -> Binary,
    }
}

diesel::table! {
    rotation (id) {
        id -> Integer,
        number -> BigInt,
        next_key -> Nullable<Binary>,
        next_certificate -> Nullable<Binary>,
        next_account_key -> Nullable<Binary>,
        next_record -> Nullable<Binary>,
    }
}

diesel::table! {
    former_keys (number) {
        number -> BigInt,
        device_key -> Binary,
        certificate -> Binary,
        until -> BigInt,
    }
}

diesel::table! {
    session (id) {
        id -> Integer,
        access_token -> Text,
        expires_at -> BigInt,
        refresh_token -> Text,
        refresh_attempt -> Nullable<Binary>,
    }
}

diesel::table! {
    key_packages (id) {
        id -> Binary,
        data -> Binary,
        expires_at -> BigInt,
        last_resort -> Bool,
        published -> Bool,
    }
}

diesel::table! {
    contacts (account) {
        account -> Binary,
        name -> Text,
        record -> Binary,
        pinned -> Binary,
        device_list -> Binary,
        first_seen_ms -> BigInt,
        changed_record -> Nullable<Binary>,
        verified -> Bool,
        since_ms -> Nullable<BigInt>,
    }
}

diesel::table! {
    account_keys (key_hash) {
        key_hash -> Binary,
        account -> Binary,
        public_key -> Binary,
    }
}

diesel::table! {
    rooms (room) {
        room -> Binary,
        phase -> Integer,
        phase_seq -> BigInt,
        cursor -> BigInt,
        head -> Binary,
        commit_seq -> BigInt,
        accepted -> BigInt,
        epoch -> BigInt,
        generation -> BigInt,
        read_seq -> BigInt,
        active_ms -> Nullable<BigInt>,
        unread -> BigInt,
        unread_mentions -> BigInt,
    }
}

diesel::table! {
    prepared (room) {
        room -> Binary,
        state -> Binary,
        tree -> Binary,
    }
}

diesel::table! {
    room_settings (room) {
        room -> Binary,
        name -> Text,
        settings -> Binary,
    }
}

diesel::table! {
    invitations (room) {
        room -> Binary,
        seq -> BigInt,
        inviter -> Binary,
        name -> Nullable<Text>,
        direct -> Bool,
    }
}

diesel::table! {
    groups (room) {
        room -> Binary,
        state -> Binary,
        version -> BigInt,
    }
}

diesel::table! {
    trees (room) {
        room -> Binary,
        tree -> Binary,
    }
}

diesel::table! {
    heads (room, seq) {
        room -> Binary,
        seq -> BigInt,
        head -> Binary,
    }
}

diesel::table! {
    counters (room, device) {
        room -> Binary,
        device -> Binary,
        counter -> BigInt,
    }
}

diesel::table! {
    listed (room, account, device) {
        room -> Binary,
        account -> Binary,
        device -> Binary,
    }
}

diesel::table! {
    roster (room, account, device) {
        room -> Binary,
        account -> Binary,
        device -> Binary,
    }
}

diesel::table! {
    invitees (room, device) {
        room -> Binary,
        device -> Binary,
        since -> BigInt,
    }
}

diesel::table! {
    renewals (room) {
        room -> Binary,
        at -> BigInt,
        accepted -> BigInt,
    }
}

diesel::table! {
    lapsed (room, device) {
        room -> Binary,
        device -> Binary,
    }
}

diesel::table! {
    added (room, device) {
        room -> Binary,
        device -> Binary,
        seq -> BigInt,
    }
}

diesel::table! {
    asked (room, device) {
        room -> Binary,
        device -> Binary,
        key_package -> Binary,
    }
}

diesel::table! {
    requests (room) {
        room -> Binary,
        message_id -> Binary,
        envelope -> Binary,
        commit_seq -> BigInt,
        expires_at -> BigInt,
        logged -> Bool,
    }
}

diesel::table! {
    outbox (room, position) {
        room -> Binary,
        position -> BigInt,
        message_id -> Binary,
        kind -> Integer,
        want -> Binary,
        state -> Integer,
        state_seq -> BigInt,
        sealed -> Nullable<Binary>,
        tree -> Nullable<Binary>,
    }
}

diesel::table! {
    own (room, message_id) {
        room -> Binary,
        message_id -> Binary,
        logged_hash -> Binary,
    }
}

diesel::table! {
    timeline (row) {
        row -> BigInt,
        room -> Binary,
        place -> BigInt,
        seq -> Nullable<BigInt>,
        message_id -> Nullable<Binary>,
        account -> Nullable<Binary>,
        device -> Nullable<Binary>,
        epoch -> BigInt,
        stored_ms -> BigInt,
        delivery -> Integer,
        deleted -> Bool,
        body -> Binary,
        of_device -> Nullable<Binary>,
        of_message -> Nullable<Binary>,
        by_admin -> Bool,
        mentions_me -> Bool,
        expires_ms -> Nullable<BigInt>,
    }
}

diesel::table! {
    texts (row) {
        row -> BigInt,
        source -> BigInt,
        sent_ms -> BigInt,
        form -> Integer,
        has_link -> Bool,
    }
}

diesel::table! {
    drafts (room) {
        room -> Binary,
        text -> Text,
    }
}

diesel::table! {
    link_requests (room) {
        room -> Binary,
        secret -> Binary,
        asked_at -> BigInt,
    }
}

diesel::table! {
    unread_lines (room) {
        room -> Binary,
        row -> BigInt,
    }
}

diesel::table! {
    scheduled (message_id) {
        message_id -> Binary,
        room -> Binary,
        at_ms -> BigInt,
        content -> Binary,
    }
}

diesel::table! {
    profiles (account) {
        account -> Binary,
        profile -> Binary,
        at_ms -> BigInt,
    }
}

diesel::table! {
    profiles_told (room) {
        room -> Binary,
        at_ms -> BigInt,
        seq -> BigInt,
        said_ms -> BigInt,
    }
}

diesel::table! {
    notes (kind, subject) {
        kind -> Integer,
        subject -> Binary,
        value -> Binary,
        at_ms -> BigInt,
        device -> Binary,
    }
}

diesel::table! {
    notes_sync (id) {
        id -> Integer,
        version -> BigInt,
        untold -> Bool,
    }
}

diesel::table! {
    last_seen (account) {
        account -> Binary,
        at_ms -> BigInt,
    }
}

diesel::table! {
    receipts (room, account, device) {
        room -> Binary,
        account -> Binary,
        device -> Binary,
        since -> BigInt,
        delivered -> BigInt,
        read -> BigInt,
    }
}

diesel::table! {
    passphrase_change (id) {
        id -> Integer,
        old_auth_key -> Binary,
        new_auth_key -> Binary,
        new_auth_salt -> Binary,
        vault -> Binary,
    }
}

diesel::table! {
    directory (id) {
        id -> Integer,
        key -> Binary,
        head -> Nullable<Binary>,
        audited -> Nullable<Binary>,
    }
}

diesel::table! {
    account_deletion (id) {
        id -> Integer,
        token -> Binary,
    }
}

diesel::table! {
    backup (id) {
        id -> Integer,
        shield -> Binary,
        backup_key -> Binary,
        secret -> Nullable<Binary>,
        version -> BigInt,
        head -> Nullable<Binary>,
        pending_version -> BigInt,
        pending -> Nullable<Binary>,
        made_at -> BigInt,
    }
}

diesel::table! {
    former_records (record) {
        record -> Binary,
    }
}

diesel::table! {
    directory_own (label) {
        label -> Integer,
        version -> BigInt,
    }
}

diesel::table! {
    restoring (id) {
        id -> Integer,
        shield -> Binary,
        name -> Text,
        server_id -> Binary,
        record -> Binary,
        head -> Binary,
        device -> Binary,
        device_key -> Binary,
        account_key -> Binary,
        secret -> Binary,
        done -> BigInt,
    }
}

diesel::table! {
    directory_told (room) {
        room -> Binary,
        epoch -> BigInt,
    }
}

diesel::table! {
    old_copy (id) {
        id -> Integer,
        room -> Binary,
    }
}

diesel::table! {
    directory_heard (room, device) {
        room -> Binary,
        device -> Binary,
        account -> Binary,
        epoch -> BigInt,
        head -> Binary,
        heard_ms -> BigInt,
    }
}

diesel::table! {
    directory_evidence (id) {
        id -> BigInt,
        at_ms -> BigInt,
        epoch -> BigInt,
        what -> Text,
        ours -> Nullable<Binary>,
        theirs -> Nullable<Binary>,
        shown -> Bool,
    }
}

diesel::table! {
    psk_offers (room, device) {
        room -> Binary,
        device -> Binary,
        account -> Binary,
        psk_id -> Binary,
        master_sae -> Text,
        slave_sae -> Text,
        holders -> Binary,
    }
}

diesel::table! {
    psk_secrets (name) {
        name -> Binary,
        secret -> Binary,
    }
}

diesel::table! {
    psk_mixed (room) {
        room -> Binary,
        psk_id -> Binary,
        epoch -> BigInt,
        generation -> BigInt,
    }
}

diesel::table! {
    exercises (room, device) {
        room -> Binary,
        device -> Binary,
        account -> Binary,
        id -> Binary,
        peer -> Binary,
        terms -> Binary,
        mixes -> Bool,
        takes_part -> Bool,
        steps -> BigInt,
        bytes -> BigInt,
    }
}

diesel::table! {
    exercise_steps (row) {
        row -> BigInt,
        room -> Binary,
        asker -> Binary,
        account -> Binary,
        device -> Binary,
        said -> Binary,
    }
}

diesel::table! {
    uploads (file) {
        file -> Binary,
        room -> Binary,
        path -> Binary,
        state -> Binary,
        content -> Binary,
        parts -> BigInt,
        digest -> Binary,
        begun_ms -> BigInt,
    }
}

diesel::table! {
    downloads (file, path) {
        file -> Binary,
        path -> Binary,
        line -> BigInt,
        temporary -> Text,
        parts -> BigInt,
        digest -> Binary,
    }
}

diesel::table! {
    spent_files (file) {
        file -> Binary,
        room -> Binary,
    }
}

diesel::table! {
    files_left (room, device, message_id) {
        room -> Binary,
        device -> Binary,
        message_id -> Binary,
        file -> Binary,
        expires_ms -> Nullable<BigInt>,
    }
}

diesel::allow_tables_to_appear_in_same_query!(rooms, room_settings);
diesel::allow_tables_to_appear_in_same_query!(contacts, roster);
diesel::allow_tables_to_appear_in_same_query!(added, roster);
