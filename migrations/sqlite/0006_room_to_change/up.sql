-- It followed every extension of a session. Those that have expired are found by going through all.
DROP INDEX sessions_by_expiry;
