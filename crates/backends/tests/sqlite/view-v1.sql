-- The tables of a view as the first version made them, with ten events applied, of which one was passed.
CREATE TABLE steadfast_projections (name TEXT PRIMARY KEY, position TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE steadfast_skipped (
    projection TEXT NOT NULL,
    position TEXT NOT NULL,
    stream TEXT NOT NULL,
    revision INTEGER NOT NULL,
    kind TEXT NOT NULL,
    happened INTEGER NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (projection, position)
) WITHOUT ROWID;
CREATE TABLE seen (n INTEGER PRIMARY KEY AUTOINCREMENT, position INTEGER UNIQUE);
INSERT INTO steadfast_projections VALUES ('seen', '10');
INSERT INTO steadfast_skipped VALUES ('seen', '4', 's', 3, 'bad', 1767225600, 'it was bad');
INSERT INTO seen (position) VALUES (1), (2), (3), (4), (5), (6), (7), (8), (9), (10);
