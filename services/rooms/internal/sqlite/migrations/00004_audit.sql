-- +goose Up

-- Who did what, each written in the transaction of the act. Entries are only added, and deleted by age alone: triggers
-- refuse the rest.
CREATE TABLE rooms_audit (
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
CREATE INDEX rooms_audit_actor ON rooms_audit (tenant, actor, id);
CREATE INDEX rooms_audit_action ON rooms_audit (tenant, action, id);
CREATE INDEX rooms_audit_room ON rooms_audit (tenant, room, id);
CREATE INDEX rooms_audit_at ON rooms_audit (at);

-- One row: entries of before that time may be deleted.
CREATE TABLE rooms_audit_retention (
    tenant text PRIMARY KEY, -- '*'
    before bigint NOT NULL
);
INSERT INTO rooms_audit_retention (tenant, before) VALUES ('*', 0);

-- +goose StatementBegin
CREATE TRIGGER rooms_audit_no_update BEFORE UPDATE ON rooms_audit BEGIN
    SELECT RAISE(ABORT, 'audit entries are only added, and deleted by age alone');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER rooms_audit_no_delete BEFORE DELETE ON rooms_audit
WHEN OLD.at >= (SELECT before FROM rooms_audit_retention WHERE tenant = '*') BEGIN
    SELECT RAISE(ABORT, 'audit entries are only added, and deleted by age alone');
END;
-- +goose StatementEnd

-- +goose Down
DROP TABLE rooms_audit;
DROP TABLE rooms_audit_retention;
