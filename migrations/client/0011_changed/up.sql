-- Whose identity has changed is asked before each message; hardly ever is it anybody, and contacts are large.
CREATE INDEX contacts_changed ON contacts (name, account) WHERE changed_record IS NOT NULL;
