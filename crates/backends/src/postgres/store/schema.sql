CREATE TABLE steadfast_events (
    position bigint NOT NULL,
    ordinal int NOT NULL,
    stream text NOT NULL,
    revision bigint NOT NULL,
    id uuid NOT NULL UNIQUE,
    kind text NOT NULL,
    subject text,
    source text NOT NULL,
    seconds bigint NOT NULL,
    nanos int NOT NULL,
    content_type text,
    data_schema text,
    trace text,
    extensions text,
    data bytea NOT NULL,
    PRIMARY KEY (position, ordinal)
);
CREATE UNIQUE INDEX steadfast_events_by_stream ON steadfast_events (stream, revision);
CREATE TABLE steadfast_deleted (
    stream text PRIMARY KEY,
    next_revision bigint NOT NULL
);
CREATE TABLE steadfast_gone (
    id uuid PRIMARY KEY,
    position bigint NOT NULL,
    ordinal int NOT NULL,
    revision bigint NOT NULL
);
CREATE INDEX steadfast_gone_by_position ON steadfast_gone (position, ordinal);
