//! The tables of /migrations/quantum as diesel sees them.

diesel::table! {
    jobs (id) {
        id -> Binary,
        tag -> Text,
        task -> Text,
        backend -> Text,
        asked -> Nullable<Text>,
        fallback_reason -> Nullable<Text>,
        state -> Text,
        may_fall_back -> Bool,
        expected -> Nullable<Text>,
        remote -> Nullable<Text>,
        account -> Nullable<Text>,
        measured -> Nullable<Binary>,
        report -> Nullable<Text>,
        reason -> Nullable<Text>,
        seconds -> Double,
        charged -> Double,
        submitted_ms -> Nullable<BigInt>,
        created_ms -> BigInt,
        changed_ms -> BigInt,
        device -> Nullable<Text>,
    }
}

diesel::table! {
    devices (id) {
        id -> BigInt,
        digest -> Text,
        properties -> Text,
    }
}

diesel::table! {
    spent (id) {
        id -> BigInt,
        job -> Binary,
        submitted_ms -> BigInt,
        seconds -> Double,
    }
}

diesel::table! {
    pool (id) {
        id -> BigInt,
        bytes -> Binary,
        job -> Binary,
        backend -> Text,
        quantum -> Bool,
        made_ms -> BigInt,
    }
}

diesel::table! {
    draws (id) {
        id -> BigInt,
        purpose -> Text,
        subject -> Binary,
        job -> Binary,
        backend -> Text,
        quantum -> Bool,
        bits -> BigInt,
        drawn_ms -> BigInt,
    }
}

diesel::table! {
    health (id) {
        id -> BigInt,
        backend -> Text,
        measured_ms -> BigInt,
        available -> Bool,
        s -> Nullable<Double>,
        s_error -> Nullable<Double>,
        readout_error -> Nullable<Double>,
        gate_error -> Nullable<Double>,
    }
}

diesel::allow_tables_to_appear_in_same_query!(jobs, pool);
