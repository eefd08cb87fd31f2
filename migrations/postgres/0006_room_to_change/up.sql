-- Rows that change all the time keep some room beside them, so that their next version goes to the same page and no index
-- hears of it (a HOT update). Pages that are full already get it when VACUUM has freed some of them.
ALTER TABLE rooms SET (fillfactor = 80);
ALTER TABLE members SET (fillfactor = 90);
ALTER TABLE devices SET (fillfactor = 80);
ALTER TABLE sessions SET (fillfactor = 80);
-- A token grows when it is used, which each is in the end.
ALTER TABLE refresh_tokens SET (fillfactor = 70);
-- Each of these changes once, when retention deletes its bytes.
ALTER TABLE envelopes SET (fillfactor = 85);

-- It followed every extension of a session, and so did all other indexes of the table. Those that have expired are found by
-- going through all.
DROP INDEX sessions_by_expiry;
