-- The tables of a view as the first version made them, with events up to a position applied, of which one was passed.
CREATE TABLE steadfast_projections (name text PRIMARY KEY, position text NOT NULL, version int NOT NULL);
CREATE TABLE steadfast_skipped (
    projection text NOT NULL,
    position text NOT NULL,
    stream text NOT NULL,
    revision bigint NOT NULL,
    kind text NOT NULL,
    happened bigint NOT NULL,
    reason text NOT NULL,
    PRIMARY KEY (projection, position)
);
CREATE TABLE seen (n bigserial PRIMARY KEY, position text UNIQUE, kind text);
INSERT INTO steadfast_projections VALUES ('seen', '${position}', 1);
INSERT INTO steadfast_skipped VALUES ('seen', '${position}', 's', 9, 'bad', 1767225600, 'it was bad');
INSERT INTO seen (position, kind) VALUES ('${position}', 'good');
