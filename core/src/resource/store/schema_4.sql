-- The clock that says when an endpoint was left can be set; numbers only grow. What has a higher number was begun after that.
ALTER TABLE organizations ADD COLUMN primary_left_through INTEGER NOT NULL DEFAULT 0;
ALTER TABLE organizations ADD COLUMN alternate_left_through INTEGER NOT NULL DEFAULT 0;
UPDATE organizations SET
    primary_left_through = iif(primary_left IS NULL, 0, (SELECT coalesce(max(id), 0) FROM writes)),
    alternate_left_through = iif(alternate_left IS NULL, 0, (SELECT coalesce(max(id), 0) FROM writes));
