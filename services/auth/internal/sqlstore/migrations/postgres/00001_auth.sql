-- +goose Up

-- Times are milliseconds since 1970, here as in SQLite. Every table carries its tenant; where that
-- is '*', the row is the service's own, for all tenants.
CREATE TABLE auth_accounts (
    tenant       text NOT NULL,
    id           text NOT NULL,
    username     text NOT NULL, -- as shown
    username_key text COLLATE "C" NOT NULL, -- as compared
    password     text NOT NULL, -- argon2id, in PHC form
    staff        boolean NOT NULL,
    disabled     boolean NOT NULL,
    generation   bigint NOT NULL, -- access tokens of lower ones are void
    created_at   bigint NOT NULL,
    PRIMARY KEY (tenant, id),
    UNIQUE (tenant, username_key)
);
CREATE INDEX auth_accounts_admins ON auth_accounts (tenant) WHERE staff AND NOT disabled;

-- A session that has ended is deleted. Guests are nowhere but here.
CREATE TABLE auth_sessions (
    tenant     text NOT NULL,
    id         text NOT NULL,
    user_id    text NOT NULL,
    guest_name text, -- NULL for accounts
    family     bytea NOT NULL, -- marks the session's refresh tokens
    created_at bigint NOT NULL,
    used_at    bigint NOT NULL,
    PRIMARY KEY (tenant, id)
);
CREATE INDEX auth_sessions_user ON auth_sessions (tenant, user_id);
CREATE INDEX auth_sessions_used ON auth_sessions (used_at);
CREATE INDEX auth_sessions_created ON auth_sessions (created_at);

CREATE TABLE auth_refresh_tokens (
    tenant     text NOT NULL,
    hash       bytea NOT NULL, -- SHA-256
    session_id text NOT NULL,
    parent     bytea NOT NULL, -- hash of the token that it was given for, empty at login
    issued_at  bigint NOT NULL,
    used_at    bigint, -- NULL until it is
    PRIMARY KEY (tenant, hash),
    FOREIGN KEY (tenant, session_id) REFERENCES auth_sessions (tenant, id) ON DELETE CASCADE
);
CREATE INDEX auth_refresh_tokens_session ON auth_refresh_tokens (tenant, session_id);

CREATE TABLE auth_signing_keys (
    tenant       text NOT NULL, -- '*'
    id           text NOT NULL,
    seed         bytea NOT NULL, -- the private key
    created_at   bigint NOT NULL,
    activated_at bigint, -- NULL for the next one
    retires_at   bigint, -- NULL for never
    PRIMARY KEY (tenant, id)
);

-- One row: the lobby's name and how far it is numbered.
CREATE TABLE auth_lobby (
    tenant text PRIMARY KEY, -- '*'
    log    text NOT NULL,
    head   bigint NOT NULL
);

CREATE TABLE auth_lobby_events (
    tenant text NOT NULL,
    seq    bigint PRIMARY KEY, -- across tenants, without holes
    at     bigint NOT NULL,
    event  text NOT NULL -- JSON
);
CREATE INDEX auth_lobby_events_at ON auth_lobby_events (at);

-- +goose Down
DROP TABLE auth_lobby_events, auth_lobby, auth_signing_keys, auth_refresh_tokens, auth_sessions, auth_accounts;
