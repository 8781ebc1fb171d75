-- +goose Up

-- Slug, name and description as chat.Fold has them, as of that updated_at: where an older release, which knows
-- nothing of it, changed the room later, a search takes the column "search" until the next start.
ALTER TABLE rooms
    ADD COLUMN search_folded    text,
    ADD COLUMN search_folded_at bigint;

-- +goose Down
ALTER TABLE rooms DROP COLUMN search_folded, DROP COLUMN search_folded_at;
