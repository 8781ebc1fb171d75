-- +goose Up

-- Who did what, each written in the transaction of the act. Entries are only added, and deleted by age alone: a trigger
-- refuses the rest.
CREATE TABLE auth_audit (
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
CREATE FUNCTION auth_audit_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        IF OLD.at < (SELECT before FROM auth_audit_retention WHERE tenant = '*') THEN
            RETURN OLD;
        END IF;
    END IF;
    RAISE EXCEPTION 'audit entries are only added, and deleted by age alone' USING ERRCODE = 'restrict_violation';
END $$;
-- +goose StatementEnd
CREATE TRIGGER auth_audit_append_only BEFORE UPDATE OR DELETE ON auth_audit FOR EACH ROW EXECUTE FUNCTION auth_audit_append_only();
CREATE TRIGGER auth_audit_no_truncate BEFORE TRUNCATE ON auth_audit FOR EACH STATEMENT EXECUTE FUNCTION auth_audit_append_only();

-- +goose Down
DROP TABLE auth_audit, auth_audit_retention;
DROP FUNCTION auth_audit_append_only;
