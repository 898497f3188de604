"""The tables in SQLite and their numbered migrations."""

# Steps from one schema to the next, never changed once they were released; the file's `user_version` counts them.
MIGRATIONS = (
    """
CREATE TABLE ledger (attempt_id TEXT, recipient TEXT, at INTEGER NOT NULL, value TEXT NOT NULL,
    PRIMARY KEY (attempt_id, recipient));
CREATE INDEX ledger_in_order ON ledger (at, attempt_id, recipient);
CREATE TABLE progress (message TEXT, recipient TEXT, value TEXT NOT NULL,
    PRIMARY KEY (message, recipient)) WITHOUT ROWID;
CREATE TABLE success (target TEXT PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE strike (target TEXT, message TEXT, reason TEXT, at INTEGER NOT NULL,
    PRIMARY KEY (target, message, reason)) WITHOUT ROWID;
CREATE INDEX strike_in_order ON strike (target, at, message, reason);
CREATE TABLE suppression (scope TEXT, target TEXT, since INTEGER NOT NULL, value TEXT NOT NULL,
    PRIMARY KEY (scope, target)) WITHOUT ROWID;
CREATE INDEX suppression_in_order ON suppression (since, target, scope);
CREATE TABLE suspension (target TEXT PRIMARY KEY, until INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE forward (address TEXT PRIMARY KEY, since INTEGER NOT NULL, value TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX forward_in_order ON forward (since, address);
""",
    # What a suspension stands on is kept from here on; those that were running when this came are over in hours.
    """
DROP TABLE suspension;
CREATE TABLE suspension (target TEXT PRIMARY KEY, since INTEGER NOT NULL, value TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX suspension_in_order ON suspension (since, target);
CREATE TABLE past_trigger (target TEXT, rule TEXT, attempt TEXT, at INTEGER NOT NULL,
    PRIMARY KEY (target, rule, attempt)) WITHOUT ROWID;
CREATE INDEX trigger_in_order ON past_trigger (target, at, rule, attempt);
CREATE TABLE watch (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
""",
    # The ledger by recipient, domain and message: the domain is what follows the last `@`; of a value that is damaged
    # there is no message. Columns that SQLite reckons itself would cost more than all else of a line.
    """
ALTER TABLE ledger ADD COLUMN domain TEXT;
ALTER TABLE ledger ADD COLUMN message TEXT;
UPDATE ledger SET domain = substr(recipient, length(rtrim(recipient, replace(recipient, '@', ''))) + 1),
    message = CASE WHEN json_valid(value) THEN json_extract(value, '$.progress.message') END;
CREATE INDEX ledger_of_recipient ON ledger (recipient, at);
CREATE INDEX ledger_of_domain ON ledger (domain, at);
CREATE INDEX ledger_of_message ON ledger (message, at);
""",
    """
CREATE TABLE throttling (target TEXT PRIMARY KEY, since INTEGER NOT NULL, value TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX throttling_in_order ON throttling (since, target);
CREATE TABLE traffic (target TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE learned (domain TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE frozen (provider TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
""",
    # The guard and `undo` ask for the young entries of bounces only. An index of all entries by time made an import
    # of millions, in the order of their targets, write a page of it for each; lists sort by themselves.
    """
DROP INDEX suppression_in_order;
CREATE INDEX suppression_of_bounces ON suppression (since) WHERE instr(value, '"source":') = 0;
""",
    # Which attempt there it was: for `10 of 500`.
    """
ALTER TABLE past_trigger ADD COLUMN nth INTEGER NOT NULL DEFAULT 0;
""",
    # From here on an entry may have a short text, which begins with a letter and is never a bounce's: a tenth of the
    # JSON, which made a look-up among ten millions read twice as many pages.
    """
DROP INDEX suppression_of_bounces;
CREATE INDEX suppression_of_bounces ON suppression (since) WHERE value >= '{' AND instr(value, '"source":') = 0;
""",
)
SCHEMA_VERSION = len(MIGRATIONS)
