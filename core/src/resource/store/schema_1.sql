-- Times are in microseconds since 1970, UTC. What is NULL is not known, or is none.

-- Whose writes they are: the pair of endpoints.
CREATE TABLE organizations (
    id INTEGER PRIMARY KEY,
    -- The base URLs of the primary and the alternate.
    pair TEXT NOT NULL UNIQUE,
    -- When a process has left the endpoint last.
    primary_left INTEGER,
    alternate_left INTEGER,
    -- What was begun up to this number may have gone to a side that has lost writes.
    lost_through INTEGER NOT NULL DEFAULT 0,
    -- From when on all acknowledged writes are on record.
    on_record_since INTEGER NOT NULL
);

-- The processes that have it open. Each holds a lock on the byte `id` of the file beside it whose name
-- ends in -lock; one that holds none has died.
CREATE TABLE processes (
    id INTEGER PRIMARY KEY,
    uuid TEXT NOT NULL,
    -- For people; nothing is decided by it.
    pid INTEGER NOT NULL,
    opened INTEGER NOT NULL
);

CREATE TABLE writes (
    id INTEGER PRIMARY KEY,
    organization INTEGER NOT NULL,
    -- The process that sends or has sent it.
    process INTEGER NOT NULL,
    tag TEXT,
    method TEXT NOT NULL,
    url TEXT NOT NULL,
    -- idempotent, guarded, unsafe
    operation TEXT NOT NULL,
    body_length INTEGER,
    body_digest BLOB,
    started INTEGER NOT NULL,
    -- NULL: in flight, as long as its process lives.
    ended INTEGER,
    -- primary, alternate; NULL: another host, or nothing was sent.
    role TEXT,
    epoch INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    -- executed, not_executed, unknown
    effect TEXT,
    -- Why it is to be verified: in_doubt, acknowledged, repeated.
    suspect TEXT,
    -- 1: one of its attempts may still be executed.
    may_come_late INTEGER NOT NULL DEFAULT 0,
    row_url TEXT,
    -- What can be found out by a look at its row, as JSON.
    proof TEXT NOT NULL,
    -- What was found by such a look last: present, missing, unverifiable, conflicting; whether that
    -- stays; when; what else there is to say, as JSON.
    verified TEXT,
    verified_final INTEGER,
    verified_time INTEGER,
    verified_details TEXT,
    -- confirmed, replayed, lost
    resolution TEXT,
    -- The process that is sending it again.
    replayed_by INTEGER,
    -- Its request, with ledger_bodies = full. Headers as lines, no credential among them.
    kept_method TEXT,
    kept_url TEXT,
    kept_headers TEXT,
    kept_body BLOB,
    kept_upsert INTEGER
);
CREATE INDEX writes_ended ON writes (ended);
CREATE INDEX writes_suspect ON writes (organization, id) WHERE suspect IS NOT NULL;
