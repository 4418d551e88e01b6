-- Where calls go, for processes that open later and those that run. Times are in microseconds since 1970, UTC.
CREATE TABLE state (
    -- The base URLs of the primary and the alternate, as in organizations.
    pair TEXT PRIMARY KEY,
    -- primary, alternate; NULL: nothing is known.
    role TEXT,
    -- When a process went there first, and when that was found to be right last.
    switched INTEGER,
    confirmed INTEGER,
    -- 1: a fault had moved it, and not a person.
    by_fault INTEGER,
    -- How many switches are on record. No client's epoch.
    switches INTEGER NOT NULL DEFAULT 0,
    -- What the WSDL's FailoverPolicy says, at which endpoint (primary, alternate) and when it was read.
    policy_role TEXT,
    policy_available INTEGER,
    policy_enabled INTEGER,
    policy_read INTEGER
);

-- What the operator says.
CREATE TABLE override (
    pair TEXT PRIMARY KEY,
    -- off, primary, alternate
    value TEXT NOT NULL,
    -- When it ends by itself; NULL: when it is deleted.
    until INTEGER
);
