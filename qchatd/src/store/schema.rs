//! The tables of `migrations/`, as diesel sees them.

diesel::table! {
    server (id) {
        id -> Integer,
        server_id -> Binary,
        created_at -> BigInt,
    }
}

diesel::table! {
    accounts (id) {
        id -> Binary,
        name -> Text,
        record -> Binary,
        device_list -> Binary,
        device_list_version -> BigInt,
        auth_salt -> Binary,
        verifier_salt -> Binary,
        verifier -> Binary,
        created_at -> BigInt,
        deleted_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    erased_accounts (account_id) {
        account_id -> Binary,
        name -> Binary,
        token -> Binary,
        identity_key -> Binary,
    }
}

diesel::table! {
    devices (id) {
        id -> Binary,
        account_id -> Binary,
        certificate -> Binary,
        listed -> Bool,
        created_at -> BigInt,
        audience -> BigInt,
        label -> Nullable<Binary>,
        last_seen -> Nullable<BigInt>,
    }
}

diesel::table! {
    key_packages (id) {
        id -> BigInt,
        device_id -> Binary,
        digest -> Binary,
        last_resort -> Bool,
        claimed -> Bool,
        package -> Nullable<Binary>,
    }
}

diesel::table! {
    sessions (id) {
        id -> Binary,
        device_id -> Binary,
        created_at -> BigInt,
        expires_at -> BigInt,
        ended_by -> Nullable<SmallInt>,
    }
}

diesel::table! {
    token_keys (id) {
        id -> Binary,
        salt -> Binary,
        signs_from -> BigInt,
        ends_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    refresh_tokens (digest) {
        digest -> Binary,
        session_id -> Binary,
        expires_at -> BigInt,
        used_at -> Nullable<BigInt>,
        used_with -> Nullable<Binary>,
    }
}

diesel::table! {
    spent_nonces (nonce) {
        nonce -> Binary,
        expires_at -> BigInt,
    }
}

diesel::table! {
    rooms (id) {
        id -> Binary,
        creator_device -> Binary,
        next_seq -> BigInt,
        commit_seq -> BigInt,
        created_at -> BigInt,
        deleted_until -> BigInt,
    }
}

diesel::table! {
    members (room_id, device_id) {
        room_id -> Binary,
        device_id -> Binary,
        account_id -> Binary,
        standing -> SmallInt,
        once_full -> Bool,
        waiting -> Bool,
        read_after -> BigInt,
        read_until -> Nullable<BigInt>,
        past_after -> BigInt,
        past_until -> BigInt,
        confirmed -> BigInt,
    }
}

diesel::table! {
    envelopes (id) {
        id -> BigInt,
        room_id -> Binary,
        seq -> BigInt,
        sender_device -> Binary,
        message_id -> Binary,
        size -> BigInt,
        logged -> Nullable<Binary>,
    }
}

diesel::table! {
    trees (id) {
        id -> BigInt,
        room_id -> Binary,
        device_id -> Binary,
        hash -> Nullable<Binary>,
        size -> BigInt,
        complete -> Bool,
        seq -> Nullable<BigInt>,
        touched_at -> BigInt,
    }
}

diesel::table! {
    tree_parts (tree_id, number) {
        tree_id -> BigInt,
        number -> Integer,
        bytes -> Binary,
    }
}

diesel::table! {
    welcomes (room_id, device_id) {
        room_id -> Binary,
        device_id -> Binary,
        seq -> BigInt,
        inviter -> Binary,
        welcome -> Binary,
        log_after -> BigInt,
    }
}

diesel::table! {
    hours (id) {
        id -> BigInt,
        noted_at -> BigInt,
        envelope -> BigInt,
        key_package -> BigInt,
        audit -> BigInt,
    }
}

diesel::table! {
    audit (seq) {
        seq -> BigInt,
        first_at -> BigInt,
        last_at -> BigInt,
        times -> BigInt,
        act -> SmallInt,
        outcome -> SmallInt,
        actor -> SmallInt,
        account_id -> Nullable<Binary>,
        device_id -> Nullable<Binary>,
        peer -> Nullable<Text>,
        deleted_until -> Nullable<BigInt>,
        deleted_hash -> Nullable<Binary>,
        hash -> Binary,
    }
}

diesel::table! {
    audit_head (id) {
        id -> Integer,
        seq -> BigInt,
        hash -> Binary,
        deleted_until -> BigInt,
    }
}

diesel::table! {
    links (account_id) {
        account_id -> Binary,
        id -> Binary,
        token -> Binary,
        created_at -> BigInt,
        expires_at -> BigInt,
        commitment -> Binary,
        answered_by -> Nullable<Binary>,
        answer -> Nullable<Binary>,
        opening -> Nullable<Binary>,
        confirmed -> Bool,
    }
}

diesel::table! {
    grants (device_id) {
        device_id -> Binary,
        sealed -> Binary,
        created_at -> BigInt,
    }
}

diesel::table! {
    owed_places (room_id, device_id) {
        room_id -> Binary,
        device_id -> Binary,
        since -> BigInt,
    }
}

diesel::table! {
    notes (account_id) {
        account_id -> Binary,
        version -> BigInt,
        sealed -> Binary,
    }
}

diesel::table! {
    join_requests (room_id, account_id) {
        room_id -> Binary,
        account_id -> Binary,
        request -> Binary,
        created_at -> BigInt,
    }
}

diesel::table! {
    backups (device_id) {
        device_id -> Binary,
        account_id -> Binary,
        version -> BigInt,
        head -> Binary,
        made_at -> BigInt,
    }
}

diesel::table! {
    backup_chunks (id) {
        id -> BigInt,
        account_id -> Binary,
        device_id -> Binary,
        chunk -> Binary,
        size -> BigInt,
        kept_until -> Nullable<BigInt>,
        bytes -> Binary,
    }
}

diesel::table! {
    files (id) {
        id -> Binary,
        room_id -> Binary,
        account_id -> Binary,
        device_id -> Binary,
        size -> BigInt,
        state -> SmallInt,
        hash -> Nullable<Binary>,
        touched_at -> BigInt,
        hour -> Nullable<BigInt>,
    }
}

diesel::table! {
    file_parts (file_id, number) {
        file_id -> Binary,
        number -> Integer,
        digest -> Binary,
    }
}

diesel::joinable!(sessions -> devices (device_id));
diesel::joinable!(refresh_tokens -> sessions (session_id));
diesel::joinable!(members -> rooms (room_id));
diesel::allow_tables_to_appear_in_same_query!(
    server,
    accounts,
    erased_accounts,
    devices,
    key_packages,
    sessions,
    refresh_tokens,
    token_keys,
    spent_nonces,
    rooms,
    members,
    envelopes,
    trees,
    tree_parts,
    welcomes,
    hours,
    links,
    grants,
    backups,
    backup_chunks,
    files,
    file_parts,
    owed_places,
    notes,
    join_requests,
    audit,
    audit_head,
);

diesel::table! {
    directory_heads (epoch) {
        epoch -> BigInt,
        head -> Binary,
        signature -> Binary,
        nodes -> BigInt,
        grown -> Nullable<Binary>,
    }
}

diesel::table! {
    directory_nodes (label) {
        label -> Binary,
        node -> Binary,
    }
}

diesel::table! {
    directory_values (who, version) {
        who -> Binary,
        version -> BigInt,
        epoch -> BigInt,
        held -> Binary,
        place -> Binary,
    }
}

diesel::table! {
    directory_entries (id) {
        id -> BigInt,
        account_id -> Binary,
        label -> Binary,
        salt -> Binary,
        said -> Binary,
        epoch -> Nullable<BigInt>,
        version -> Nullable<BigInt>,
    }
}

diesel::allow_tables_to_appear_in_same_query!(accounts, directory_entries);
