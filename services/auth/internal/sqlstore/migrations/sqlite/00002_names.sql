-- +goose Up

-- Names as they are compared and as they look, by the rule of that number. Accounts of an older release get them when
-- the service starts; where another account has the same already, they stay empty for good, and the account is found by
-- its username_key as before.
ALTER TABLE auth_accounts ADD COLUMN folded text;
ALTER TABLE auth_accounts ADD COLUMN skeleton text;
ALTER TABLE auth_accounts ADD COLUMN name_rule bigint NOT NULL DEFAULT 0;
CREATE UNIQUE INDEX auth_accounts_folded ON auth_accounts (tenant, folded);
CREATE UNIQUE INDEX auth_accounts_skeleton ON auth_accounts (tenant, skeleton);
CREATE INDEX auth_accounts_name_rule ON auth_accounts (name_rule, created_at, id);

-- +goose Down
DROP INDEX auth_accounts_name_rule;
DROP INDEX auth_accounts_skeleton;
DROP INDEX auth_accounts_folded;
ALTER TABLE auth_accounts DROP COLUMN name_rule;
ALTER TABLE auth_accounts DROP COLUMN skeleton;
ALTER TABLE auth_accounts DROP COLUMN folded;
