-- Codes, grants, refresh tokens, pushed requests, users and the like: what each is named by, hashed, and what it says
-- as JSON. The version grows with every change, so that what was read is changed only while it still holds.
CREATE TABLE entry (
    kind      TEXT   NOT NULL,
    id        BYTEA  NOT NULL CHECK (length(id) = 32),
    version   BIGINT NOT NULL,
    owner     TEXT,
    not_after BIGINT NOT NULL,
    body      TEXT   NOT NULL,
    PRIMARY KEY (kind, id)
);
CREATE INDEX entry_owner ON entry (kind, owner, id) WHERE owner IS NOT NULL;
CREATE INDEX entry_not_after ON entry (not_after);
