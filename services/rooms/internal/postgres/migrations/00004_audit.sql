-- +goose Up

-- Who did what, each written in the transaction of the act. Entries are only added, and deleted by age alone: a trigger
-- refuses the rest.
CREATE TABLE rooms_audit (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
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
CREATE FUNCTION rooms_audit_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        IF OLD.at < (SELECT before FROM rooms_audit_retention WHERE tenant = '*') THEN
            RETURN OLD;
        END IF;
    END IF;
    RAISE EXCEPTION 'audit entries are only added, and deleted by age alone' USING ERRCODE = 'restrict_violation';
END $$;
-- +goose StatementEnd
CREATE TRIGGER rooms_audit_append_only BEFORE UPDATE OR DELETE ON rooms_audit FOR EACH ROW EXECUTE FUNCTION rooms_audit_append_only();
CREATE TRIGGER rooms_audit_no_truncate BEFORE TRUNCATE ON rooms_audit FOR EACH STATEMENT EXECUTE FUNCTION rooms_audit_append_only();

-- +goose Down
DROP TABLE rooms_audit, rooms_audit_retention;
DROP FUNCTION rooms_audit_append_only;
