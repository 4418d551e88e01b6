-- An index over the ends of writes would cost each write a page more. What is kept of time instead: at this moment
-- all writes had ended whose number is lower than this one. One for some hundred writes.
DROP INDEX writes_ended;
CREATE TABLE moments (
    organization INTEGER NOT NULL,
    id_from INTEGER NOT NULL,
    time INTEGER NOT NULL,
    PRIMARY KEY (organization, id_from)
) WITHOUT ROWID;
-- A write that is sent again ends anew, whatever its number is.
CREATE INDEX writes_replayed ON writes (organization, id) WHERE resolution = 'replayed';
