CREATE TABLE steadfast_log (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    version INTEGER NOT NULL,
    next_position INTEGER NOT NULL
);
INSERT INTO steadfast_log VALUES (1, 1, 5);
CREATE TABLE steadfast_streams (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    next_revision INTEGER NOT NULL
);
INSERT INTO steadfast_streams VALUES (1, 'order-1', 2), (2, 'order-2', 2);
CREATE TABLE steadfast_events (
    position INTEGER PRIMARY KEY,
    batch INTEGER NOT NULL,
    stream INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    id BLOB NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    subject TEXT,
    source TEXT NOT NULL,
    seconds INTEGER NOT NULL,
    nanos INTEGER NOT NULL,
    content_type TEXT,
    data_schema TEXT,
    trace TEXT,
    extensions TEXT,
    data BLOB NOT NULL
);
CREATE INDEX steadfast_events_by_stream ON steadfast_events (stream, position);
INSERT INTO steadfast_events VALUES
    (1, 1, 1, 0, x'0190000000007000800000000000000a', 'order.created', '1', '/orders', 1700000000, 123456789,
     'application/json', 'https://example.com/order', '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
     '{"commandid":"k"}', CAST('{"total":5}' AS BLOB)),
    (2, 1, 1, 1, x'0190000000007000800000000000000b', 'order.shipped', NULL, '/orders', 1700000001, 0,
     NULL, NULL, NULL, NULL, x'');
CREATE TABLE steadfast_gone (
    position INTEGER PRIMARY KEY,
    batch INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    id BLOB NOT NULL UNIQUE
);
INSERT INTO steadfast_gone VALUES
    (3, 3, 0, x'0190000000007000800000000000000c'), (4, 3, 1, x'0190000000007000800000000000000d');
