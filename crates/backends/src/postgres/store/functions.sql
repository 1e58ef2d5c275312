-- The revision of the newest event of a stream, null if it has none.
CREATE OR REPLACE FUNCTION steadfast_revision(p_stream text) RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT revision FROM steadfast_events WHERE stream = p_stream ORDER BY revision DESC LIMIT 1
$$;

-- Takes the turn on streams; before the transaction gets its number.
CREATE OR REPLACE FUNCTION steadfast_lock(p_streams text[], p_alone boolean) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_key int;
BEGIN
    IF p_alone THEN
        PERFORM pg_advisory_xact_lock(1937007981, 0);
    ELSE
        PERFORM pg_advisory_xact_lock_shared(1937007981, 0);
    END IF;
    -- In one order, so that nobody waits in a ring.
    FOR v_key IN SELECT DISTINCT hashtext(name) FROM unnest(p_streams) AS name ORDER BY 1 LOOP
        PERFORM pg_advisory_xact_lock(1937007982, v_key);
    END LOOP;
END $$;

-- Says which stream is not as expected: -1 is none, -2 exists.
CREATE OR REPLACE FUNCTION steadfast_conflict(p_streams text[], p_expected bigint[])
RETURNS TABLE (name text, actual bigint) LANGUAGE sql STABLE AS $$
    SELECT name, actual
    FROM unnest(p_streams, p_expected) WITH ORDINALITY AS wanted (name, expected, place),
        LATERAL (SELECT steadfast_revision(name)) AS found (actual)
    WHERE CASE expected
        WHEN -1 THEN actual IS NOT NULL
        WHEN -2 THEN actual IS NULL
        ELSE actual IS DISTINCT FROM expected
    END
    ORDER BY place LIMIT 1
$$;

-- Finds a batch of which an event is there: its place, or `other` when it is another batch.
CREATE OR REPLACE FUNCTION steadfast_find(p_ids uuid[])
RETURNS TABLE (outcome text, at_position bigint, at_ordinal int, at_revision bigint) LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_position bigint;
    v_ids uuid[];
BEGIN
    SELECT e.position INTO v_position FROM steadfast_events e WHERE e.id = ANY (p_ids) LIMIT 1;
    IF v_position IS NULL THEN
        SELECT g.position INTO v_position FROM steadfast_gone g WHERE g.id = ANY (p_ids) LIMIT 1;
    END IF;
    IF v_position IS NULL THEN
        RETURN;
    END IF;
    SELECT array_agg(m.id ORDER BY m.ordinal) INTO v_ids FROM (
        SELECT e.id, e.ordinal FROM steadfast_events e WHERE e.position = v_position
        UNION ALL SELECT g.id, g.ordinal FROM steadfast_gone g WHERE g.position = v_position
    ) AS m;
    IF v_ids <> p_ids THEN
        RETURN QUERY SELECT 'other', NULL::bigint, NULL::int, NULL::bigint;
        RETURN;
    END IF;
    RETURN QUERY SELECT 'duplicate', v_position, m.ordinal, m.revision FROM (
        SELECT e.ordinal, e.revision FROM steadfast_events e WHERE e.position = v_position
        UNION ALL SELECT g.ordinal, g.revision FROM steadfast_gone g WHERE g.position = v_position
    ) AS m ORDER BY m.ordinal DESC LIMIT 1;
END $$;

-- Every commit is made with `on`: what anybody can see must be there for good. `p_sync` is what earlier versions, which may
-- still run beside this one, ask for, and is not heeded.
CREATE OR REPLACE FUNCTION steadfast_append(
    p_sync text,
    p_streams text[], p_ids uuid[], p_kinds text[], p_subjects text[], p_sources text[], p_seconds bigint[],
    p_nanos int[], p_content_types text[], p_data_schemas text[], p_traces text[], p_extensions text[], p_data bytea[],
    p_condition_streams text[], p_expected bigint[],
    p_none_matching boolean, p_none_streams text[], p_none_kinds text[], p_none_subjects text[],
    p_after_position bigint, p_after_ordinal int
) RETURNS TABLE (outcome text, stream text, at_position bigint, at_ordinal int, at_revision bigint)
LANGUAGE plpgsql AS $$
DECLARE
    v_found record;
    v_position bigint;
    v_is_there boolean;
BEGIN
    PERFORM set_config('synchronous_commit', 'on', true);
    PERFORM steadfast_lock(p_streams || p_condition_streams, p_none_matching);
    -- A statement of its own, so that it sees what was committed while this one waited.
    SELECT f.* INTO v_found FROM steadfast_find(p_ids) AS f;
    IF FOUND THEN
        -- Something is written, so that this commit is synced, and with it the one before.
        PERFORM pg_logical_emit_message(true, 'steadfast', '');
        RETURN QUERY SELECT v_found.outcome, NULL::text, v_found.at_position, v_found.at_ordinal, v_found.at_revision;
        RETURN;
    END IF;
    SELECT c.* INTO v_found FROM steadfast_conflict(p_condition_streams, p_expected) AS c;
    IF FOUND THEN
        RETURN QUERY SELECT 'conflict', v_found.name, NULL::bigint, NULL::int, v_found.actual;
        RETURN;
    END IF;
    IF p_none_matching THEN
        SELECT EXISTS (
            SELECT 1 FROM steadfast_events e
            WHERE (e.position, e.ordinal) > (p_after_position, p_after_ordinal)
                AND (cardinality(p_none_streams) = 0 OR e.stream = ANY (p_none_streams))
                AND (cardinality(p_none_kinds) = 0 OR e.kind = ANY (p_none_kinds))
                AND (cardinality(p_none_subjects) = 0 OR e.subject = ANY (p_none_subjects))
        ) INTO v_is_there;
        IF v_is_there THEN
            RETURN QUERY SELECT 'conflict', ''::text, NULL::bigint, NULL::int, NULL::bigint;
            RETURN;
        END IF;
    END IF;
    SELECT pg_current_xact_id()::text::bigint + l.shift INTO v_position FROM steadfast_log l;
    INSERT INTO steadfast_events
    SELECT v_position, e.ordinal, e.stream,
        b.base + row_number() OVER (PARTITION BY e.stream ORDER BY e.ordinal),
        e.id, e.kind, e.subject, e.source, e.seconds, e.nanos, e.content_type, e.data_schema, e.trace, e.extensions,
        e.data
    FROM unnest(p_streams, p_ids, p_kinds, p_subjects, p_sources, p_seconds, p_nanos, p_content_types, p_data_schemas,
        p_traces, p_extensions, p_data) WITH ORDINALITY
        AS e (stream, id, kind, subject, source, seconds, nanos, content_type, data_schema, trace, extensions, data,
            ordinal)
    JOIN (
        SELECT s.name, coalesce(steadfast_revision(s.name),
            (SELECT d.next_revision - 1 FROM steadfast_deleted d WHERE d.stream = s.name), -1) AS base
        FROM (SELECT DISTINCT unnest(p_streams) AS name) AS s
    ) AS b ON b.name = e.stream;
    RETURN QUERY SELECT 'appended', NULL::text, e.position, e.ordinal, e.revision FROM steadfast_events e
        WHERE e.position = v_position ORDER BY e.ordinal DESC LIMIT 1;
END $$;

CREATE OR REPLACE FUNCTION steadfast_delete(p_sync text, p_stream text, p_expected bigint)
RETURNS TABLE (outcome text, deleted bigint, actual bigint) LANGUAGE plpgsql AS $$
DECLARE
    v_found record;
    v_newest bigint;
    v_deleted bigint;
BEGIN
    PERFORM set_config('synchronous_commit', 'on', true);
    PERFORM steadfast_lock(ARRAY[p_stream], false);
    IF p_expected IS NOT NULL THEN
        SELECT c.* INTO v_found FROM steadfast_conflict(ARRAY[p_stream], ARRAY[p_expected]) AS c;
        IF FOUND THEN
            RETURN QUERY SELECT 'conflict', 0::bigint, v_found.actual;
            RETURN;
        END IF;
    END IF;
    SELECT steadfast_revision(p_stream) INTO v_newest;
    IF v_newest IS NULL THEN
        PERFORM pg_logical_emit_message(true, 'steadfast', '');
        RETURN QUERY SELECT 'deleted', 0::bigint, NULL::bigint;
        RETURN;
    END IF;
    INSERT INTO steadfast_deleted VALUES (p_stream, v_newest + 1)
        ON CONFLICT ON CONSTRAINT steadfast_deleted_pkey DO UPDATE SET next_revision = excluded.next_revision;
    INSERT INTO steadfast_gone
        SELECT e.id, e.position, e.ordinal, e.revision FROM steadfast_events e WHERE e.stream = p_stream;
    DELETE FROM steadfast_events e WHERE e.stream = p_stream;
    GET DIAGNOSTICS v_deleted = ROW_COUNT;
    RETURN QUERY SELECT 'deleted', v_deleted, NULL::bigint;
END $$;
