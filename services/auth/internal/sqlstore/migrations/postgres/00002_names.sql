-- +goose Up

-- Names as they are compared and as they look, by the rule of that number. An older release beside this one leaves
-- them empty, and they are filled in later; where another account has the same already, they stay empty for good, and
-- the account is found by its username_key as before.
ALTER TABLE auth_accounts
    ADD COLUMN folded    text COLLATE "C",
    ADD COLUMN skeleton  text COLLATE "C",
    ADD COLUMN name_rule bigint NOT NULL DEFAULT 0;
CREATE UNIQUE INDEX auth_accounts_folded ON auth_accounts (tenant, folded);
CREATE UNIQUE INDEX auth_accounts_skeleton ON auth_accounts (tenant, skeleton);
CREATE INDEX auth_accounts_name_rule ON auth_accounts (name_rule, created_at, id);

-- +goose Down
ALTER TABLE auth_accounts DROP COLUMN folded, DROP COLUMN skeleton, DROP COLUMN name_rule;
