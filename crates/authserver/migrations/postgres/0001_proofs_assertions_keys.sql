-- How far back the memory reaches. One row; whoever writes anything locks it first.
CREATE TABLE memory (
    id                   BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    epoch                BYTEA  NOT NULL CHECK (length(epoch) = 16),
    floor                BIGINT NOT NULL,
    highest_seen         BIGINT NOT NULL,
    assertions_forgotten BIGINT NOT NULL,
    max_age              BIGINT NOT NULL
);

-- Proofs that were accepted, by realm, jkt and jti hashed.
CREATE TABLE used_proof (
    replay_key BYTEA  NOT NULL PRIMARY KEY CHECK (length(replay_key) = 32),
    not_after  BIGINT NOT NULL
);
CREATE INDEX used_proof_not_after ON used_proof (not_after);

-- Client assertions that were accepted, by issuer, client and jti hashed.
CREATE TABLE used_assertion (
    assertion_key BYTEA  NOT NULL PRIMARY KEY CHECK (length(assertion_key) = 32),
    not_after     BIGINT NOT NULL
);
CREATE INDEX used_assertion_not_after ON used_assertion (not_after);

-- Keys that sign tokens; sealed by the key in the data directory.
CREATE TABLE signing_key (
    kid        TEXT   NOT NULL PRIMARY KEY,
    algorithm  TEXT   NOT NULL,
    sealed     BYTEA  NOT NULL,
    state      TEXT   NOT NULL CHECK (state IN ('next', 'active', 'retiring')),
    created_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX signing_key_one_active ON signing_key (state) WHERE state = 'active';

-- Other secrets of the server, by name; sealed likewise.
CREATE TABLE secret (
    name   TEXT  NOT NULL PRIMARY KEY,
    sealed BYTEA NOT NULL
);
