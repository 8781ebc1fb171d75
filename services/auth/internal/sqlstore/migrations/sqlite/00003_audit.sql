-- +goose Up

-- Who did what, each written in the transaction of the act. Entries are only added, and deleted by age alone: triggers
-- refuse the rest.
CREATE TABLE auth_audit (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant  text NOT NULL,
    at      bigint NOT NULL,
    actor   text NOT NULL, -- empty for an operator
    action  text NOT NULL,
    room    text NOT NULL, -- empty for none
    target  text NOT NULL,
    address text NOT NULL,
    request text NOT NULL,
    details text NOT NULL -- JSON
);
CREATE INDEX auth_audit_actor ON auth_audit (tenant, actor, id);
CREATE INDEX auth_audit_action ON auth_audit (tenant, action, id);
CREATE INDEX auth_audit_at ON auth_audit (at);

-- One row: entries of before that time may be deleted.
CREATE TABLE auth_audit_retention (
    tenant text PRIMARY KEY, -- '*'
    before bigint NOT NULL
);
INSERT INTO auth_audit_retention (tenant, before) VALUES ('*', 0);

-- +goose StatementBegin
CREATE TRIGGER auth_audit_no_update BEFORE UPDATE ON auth_audit BEGIN
    SELECT RAISE(ABORT, 'audit entries are only added, and deleted by age alone');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER auth_audit_no_delete BEFORE DELETE ON auth_audit
WHEN OLD.at >= (SELECT before FROM auth_audit_retention WHERE tenant = '*') BEGIN
    SELECT RAISE(ABORT, 'audit entries are only added, and deleted by age alone');
END;
-- +goose StatementEnd

-- +goose Down
DROP TABLE auth_audit;
DROP TABLE auth_audit_retention;
