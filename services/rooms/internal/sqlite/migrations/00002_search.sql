-- +goose Up

-- Slug, name and description as chat.Fold has them, as of that updated_at. Rooms of an older release get it when the
-- service starts.
ALTER TABLE rooms ADD COLUMN search_folded TEXT;
ALTER TABLE rooms ADD COLUMN search_folded_at INTEGER;

-- +goose Down
ALTER TABLE rooms DROP COLUMN search_folded_at;
ALTER TABLE rooms DROP COLUMN search_folded;
