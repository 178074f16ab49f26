-- What the ledger does inside the database. Applied by every migration run, after the tables: this file is the one
-- place where these functions are written. A process of the release before may still call them: a change must understand
-- what that one sends, or have another name. What is not written here any more stays in a database that had it.


-- Counts by meter, added up.
CREATE OR REPLACE FUNCTION meters_sum(_one jsonb, _other jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(jsonb_object_agg(meter, total), '{}') FROM (
        SELECT key AS meter, sum(value::bigint) AS total
        FROM (SELECT * FROM jsonb_each_text(_one) UNION ALL SELECT * FROM jsonb_each_text(_other)) counts
        GROUP BY key
    ) summed
$$;


CREATE OR REPLACE AGGREGATE meters_total(jsonb) (SFUNC = meters_sum, STYPE = jsonb, INITCOND = '{}');


-- A batch's locks and reads, in one round trip. Locks are taken in the order that everybody takes them in: accounts, keys,
-- holds, each by id. Each statement sees what was committed before it began, so what is read after the locks is what
-- they protect; the planner must not be given one statement instead.
-- What somebody else has locked is waited for if `_wait` says so. Otherwise it is left out: accounts and holds are then
-- named as unavailable, and a key is missing although its secret, or a hold of it, is there.
-- `_unknown`: the digests whose accounts are not among `_accounts` already. `_placing`: holds that are not there yet,
-- unless they were asked for before.
CREATE OR REPLACE FUNCTION lock_batch(
    _accounts uuid[], _digests bytea[], _unknown bytea[], _ending uuid[], _holds uuid[], _placing uuid[],
    _claim_digests bytea[], _claim_scopes bytea[], _refs text[], _renewing uuid[], _wait boolean
) RETURNS json LANGUAGE plpgsql AS $$
DECLARE
    accounts_ json; keys_ json; secrets_ json; claims_ json; holds_ json; refs_ json; cut_ json; erased_ json;
    unavailable_ json;
    owners uuid[] := _accounts; wanted_keys uuid[]; wanted_holds uuid[] := _holds;
    locked_accounts uuid[]; locked_holds uuid[]; claimed uuid[];
BEGIN
    IF cardinality(_unknown) > 0 THEN
        owners := owners || ARRAY(
            SELECT DISTINCT k.account_id FROM api_key_secrets s JOIN api_keys k ON k.id = s.key_id
            WHERE s.digest = ANY(_unknown) AND k.account_id <> ALL(_accounts));
    END IF;
    IF cardinality(owners) > 0 THEN
        IF _wait THEN
            PERFORM FROM accounts WHERE id = ANY(owners) ORDER BY id FOR UPDATE;
        END IF;
        SELECT json_agg(json_build_array(id, available, held, open_holds, movements, moved_at, suspended, plan_active,
                                         recognise_retries, keep_history, requests_tat, tokens_tat, epoch)),
               array_agg(id)
        INTO accounts_, locked_accounts FROM (
            SELECT id, available, held, open_holds, movements, moved_at, suspended_at IS NOT NULL AS suspended,
                   plan_active AND coalesce(plan_until > clock_timestamp(), true) AS plan_active,
                   recognise_retries, keep_history, requests_tat, tokens_tat, epoch
            FROM accounts WHERE id = ANY(owners) ORDER BY id FOR UPDATE SKIP LOCKED
        ) locked;
    END IF;

    IF cardinality(_digests) > 0 THEN
        SELECT json_agg(json_build_array(
                   encode(s.digest, 'hex'), s.key_id,
                   s.revoked_at IS NOT NULL OR coalesce(s.expires_at <= clock_timestamp(), false), k.account_id,
                   least(s.expires_at, k.expires_at))),
               array_agg(s.key_id)
        INTO secrets_, wanted_keys
        FROM api_key_secrets s JOIN api_keys k ON k.id = s.key_id WHERE s.digest = ANY(_digests);
    END IF;
    IF cardinality(_ending) > 0 THEN
        wanted_keys := wanted_keys || ARRAY(SELECT DISTINCT key_id FROM holds WHERE id = ANY(_ending));
    END IF;
    IF cardinality(wanted_keys) > 0 THEN
        wanted_keys := wanted_keys || ARRAY(
            SELECT unnest(ancestors) FROM api_keys WHERE id = ANY(wanted_keys) AND ancestors <> '{}');
        IF _wait THEN
            PERFORM FROM api_keys WHERE id = ANY(wanted_keys) AND account_id = ANY(locked_accounts)
            ORDER BY id FOR UPDATE;
        END IF;
        SELECT json_agg(json_build_array(id, account_id, scopes, models, strict, ancestors, dead, limits, requests_tat,
                                         tokens_tat, open_holds, day, day_credits, month, month_credits, privacy))
        INTO keys_ FROM (
            SELECT id, account_id, scopes, models, strict, privacy, ancestors, limits, requests_tat, tokens_tat, open_holds, day,
                   day_credits, month, month_credits, revoked_at IS NOT NULL OR coalesce(expires_at <= clock_timestamp(), false) AS dead
            FROM api_keys WHERE id = ANY(wanted_keys) AND account_id = ANY(locked_accounts)
            ORDER BY id FOR UPDATE SKIP LOCKED
        ) locked;
    END IF;

    IF cardinality(_claim_scopes) > 0 THEN
        SELECT json_agg(json_build_array(
                   i.account_id, encode(i.scope, 'hex'), encode(i.fingerprint, 'hex'), i.hold_id,
                   encode(i.sealed, 'base64'), i.epoch)),
               array_agg(i.hold_id)
        INTO claims_, claimed
        FROM (
            SELECT k.account_id, c.scope FROM unnest(_claim_digests, _claim_scopes) AS c(digest, scope)
            JOIN api_key_secrets s ON s.digest = c.digest JOIN api_keys k ON k.id = s.key_id
            UNION ALL  -- of callers without a key, by their accounts
            SELECT a, c.scope FROM unnest(_claim_digests, _claim_scopes) AS c(digest, scope)
            JOIN unnest(_accounts) a ON c.digest = ''
        ) c
        JOIN idempotency i ON i.account_id = c.account_id AND i.scope = c.scope AND i.expires_at > now();
        wanted_holds := wanted_holds || claimed;
    END IF;

    IF cardinality(_placing) > 0 THEN
        wanted_holds := wanted_holds || ARRAY(SELECT id FROM holds WHERE id = ANY(_placing));
    END IF;
    IF cardinality(wanted_holds) > 0 THEN
        IF _wait THEN
            PERFORM FROM holds WHERE id = ANY(wanted_holds) ORDER BY id FOR UPDATE;
        END IF;
        SELECT json_agg(json_build_array(
            id, account_id, key_id, kind, model, state, amount, price_version, prices::text, input_bound, input_count,
            output_limit, choices, tokens_taken, tokens_limit, account_tokens_limit, ancestor_tokens_limits,
            relayed_output, charged, written_off, refunded, lease_until, created_at, closed_at, closed_by, max_credits,
            epoch)), array_agg(id)
        INTO holds_, locked_holds FROM (
            SELECT * FROM holds WHERE id = ANY(wanted_holds) ORDER BY id FOR UPDATE SKIP LOCKED
        ) locked;
    END IF;

    IF NOT _wait AND (cardinality(owners) > coalesce(cardinality(locked_accounts), 0)
                      OR cardinality(wanted_holds) > coalesce(cardinality(locked_holds), 0)) THEN
        SELECT json_agg(id) INTO unavailable_ FROM (
            SELECT id FROM accounts WHERE id = ANY(owners) AND id <> ALL(coalesce(locked_accounts, '{}'))
            UNION ALL
            SELECT id FROM holds WHERE id = ANY(wanted_holds) AND id <> ALL(coalesce(locked_holds, '{}'))
        ) skipped;
    END IF;

    IF cardinality(_refs) > 0 THEN
        SELECT json_agg(json_build_array(r.ref, t.account_id, l.amount)) INTO refs_
        FROM unnest(_refs) AS r(ref) JOIN transactions t ON t.ref IN (r.ref, ref_digest(r.ref))
        JOIN lines l ON l.transaction_id = t.id AND l.book = 'available';
    END IF;

    IF cardinality(_renewing) > 0 THEN
        SELECT json_agg(h.id) FILTER (WHERE a.suspended_at IS NOT NULL OR k.revoked_at IS NOT NULL
                                         OR k.expires_at <= clock_timestamp()),
               json_agg(h.id) FILTER (WHERE h.epoch < a.epoch)
        INTO cut_, erased_
        FROM holds h JOIN accounts a ON a.id = h.account_id LEFT JOIN api_keys k ON k.id = h.key_id
        WHERE h.id = ANY(_renewing);
    END IF;

    RETURN json_build_object('now', clock_timestamp(), 'accounts', accounts_, 'keys', keys_, 'secrets', secrets_,
                             'claims', claims_, 'holds', holds_, 'refs', refs_, 'cut', cut_,
                             'erased', erased_, 'unavailable', unavailable_);
END $$;


-- What a batch came to: each statement runs only if the batch has rows for it. Every row was decided under the locks
-- that `lock_batch` took: the positions of an account's movements, and their times, are therefore in the order
-- in which they commit. Holds come first: they are what the trigger compares postings with.
CREATE OR REPLACE FUNCTION write_batch(
    _placed json, _changed json, _accounts json, _keys json, _usage json, _transactions json
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF _placed IS NOT NULL THEN
        INSERT INTO holds (
            id, account_id, key_id, kind, model, state, amount, price_version, prices, input_bound, input_count,
            output_limit, choices, tokens_taken, tokens_limit, account_tokens_limit, ancestor_tokens_limits,
            relayed_output, charged,
            written_off, refunded, lease_until, created_at, closed_at, closed_by, max_credits, epoch)
        SELECT
            id, account_id, key_id, kind, model, state, amount, price_version, prices, input_bound, input_count,
            output_limit, choices, tokens_taken, tokens_limit, account_tokens_limit, ancestor_tokens_limits,
            relayed_output, charged,
            written_off, refunded, lease_until, created_at, closed_at, closed_by, max_credits, epoch
        FROM json_populate_recordset(NULL::holds, _placed);
    END IF;
    IF _changed IS NOT NULL THEN
        UPDATE holds h SET state = n.state, amount = n.amount, output_limit = n.output_limit,
            tokens_taken = n.tokens_taken, relayed_output = n.relayed_output, charged = n.charged,
            written_off = n.written_off, refunded = n.refunded, lease_until = n.lease_until, closed_at = n.closed_at,
            closed_by = n.closed_by
        FROM json_to_recordset(_changed) AS n(
            id uuid, state text, amount bigint, output_limit bigint, tokens_taken bigint, relayed_output bigint,
            charged bigint, written_off bigint, refunded bigint, lease_until timestamptz, closed_at timestamptz,
            closed_by text)
        WHERE h.id = n.id;
    END IF;
    IF _accounts IS NOT NULL THEN
        UPDATE accounts a SET available = n.available, held = n.held, open_holds = n.open_holds,
            movements = n.movements, moved_at = n.moved_at, requests_tat = n.requests_tat, tokens_tat = n.tokens_tat
        FROM json_to_recordset(_accounts) AS n(
            id uuid, available bigint, held bigint, open_holds bigint, movements bigint, moved_at timestamptz,
            requests_tat timestamptz, tokens_tat timestamptz)
        WHERE a.id = n.id;
    END IF;
    IF _keys IS NOT NULL THEN
        UPDATE api_keys k SET requests_tat = n.requests_tat, tokens_tat = n.tokens_tat, open_holds = n.open_holds,
            day = n.day, day_credits = n.day_credits, month = n.month, month_credits = n.month_credits,
            last_used_at = CASE WHEN coalesce(n.called, true) THEN now() ELSE k.last_used_at END
        FROM json_to_recordset(_keys) AS n(
            id uuid, requests_tat timestamptz, tokens_tat timestamptz, open_holds bigint, day date, day_credits bigint,
            month date, month_credits bigint, called boolean)
        WHERE k.id = n.id;
    END IF;
    IF _usage IS NOT NULL THEN
        WITH used AS (
            INSERT INTO usage (hold_id, account_id, key_id, kind, model, input_tokens, cached_tokens,
                cache_write_tokens, output_tokens, credits, written_off, source, provider, provider_cost, meters,
                service_tier, created_at, epoch)
            SELECT hold_id, account_id, key_id, kind, model, input_tokens, cached_tokens,
                cache_write_tokens, output_tokens, credits, written_off, source, provider, provider_cost, meters,
                service_tier, created_at, epoch
            FROM json_populate_recordset(NULL::usage, _usage)
            RETURNING account_id, (created_at AT TIME ZONE 'UTC')::date AS day, model, key_id, kind, input_tokens,
                output_tokens, credits, provider_cost, meters, epoch
        )
        INSERT INTO usage_days AS d (account_id, day, model, key_id, kind, calls, input_tokens, output_tokens, credits,
            provider_cost, costed, meters, epoch)
        SELECT account_id, day, model,
               coalesce(key_id, '00000000-0000-0000-0000-000000000000'),
               min(kind), count(*), sum(input_tokens), sum(output_tokens), sum(credits),
               coalesce(sum(provider_cost), 0), count(provider_cost),
               coalesce(meters_total(meters) FILTER (WHERE meters <> '{}'), '{}'), epoch
        FROM used GROUP BY account_id, day, model, key_id, epoch
        ON CONFLICT (account_id, day, model, key_id, epoch) DO UPDATE SET calls = d.calls + excluded.calls,
            input_tokens = d.input_tokens + excluded.input_tokens,
            output_tokens = d.output_tokens + excluded.output_tokens, credits = d.credits + excluded.credits,
            provider_cost = d.provider_cost + excluded.provider_cost, costed = d.costed + excluded.costed,
            meters = CASE WHEN excluded.meters = '{}' THEN d.meters ELSE meters_sum(d.meters, excluded.meters) END;
    END IF;
    IF _transactions IS NOT NULL THEN
        WITH moved AS (
            SELECT * FROM json_to_recordset(_transactions) AS t(
                id uuid, kind text, account_id uuid, hold_id uuid, ref text, note text, position bigint,
                created_at timestamptz, available bigint, held bigint, revenue bigint, grants bigint,
                adjustments bigint, written_off bigint)
        ), made AS (
            INSERT INTO transactions (id, kind, account_id, hold_id, ref, note, position, created_at, checksum)
            SELECT id, kind, account_id, hold_id, ref, note, position, created_at,
                   CASE WHEN ref IS NOT NULL OR note IS NOT NULL THEN checksum_of(
                       kind, account_id::text, hold_id::text, ref, note, available::text) END
            FROM moved
        )
        INSERT INTO lines (transaction_id, book, account_id, amount)
        SELECT m.id, l.book, CASE WHEN l.owned THEN m.account_id END, l.amount
        FROM moved m CROSS JOIN LATERAL (VALUES
            ('available', m.available, true), ('held', m.held, true), ('revenue', m.revenue, false),
            ('grants', m.grants, false), ('adjustments', m.adjustments, false),
            ('written_off', m.written_off, false)
        ) AS l(book, amount, owned) WHERE l.amount IS NOT NULL;
    END IF;
END $$;


-- `lock_batch` for a process of the release before, which knows fewer columns and no epochs: what a purge has erased is
-- void to it, and its renewals are cut. A key that it would allow too much has no place for a call of its: one with
-- parents' limits, with a list of models, or strict in parameters or privacy. What the new release has placed for such a key it ends all the same.
CREATE OR REPLACE FUNCTION ledger_lock(
    _accounts uuid[], _digests bytea[], _unknown bytea[], _ending uuid[], _holds uuid[], _placing uuid[],
    _claim_digests bytea[], _claim_scopes bytea[], _refs text[], _renewing uuid[], _wait boolean
) RETURNS json LANGUAGE plpgsql AS $$
DECLARE
    r jsonb := jsonb_strip_nulls(lock_batch(_accounts, _digests, _unknown, _ending, _holds, _placing, _claim_digests,
                                            _claim_scopes, _refs, _renewing, _wait)::jsonb);
BEGIN
    RETURN json_build_object(
        'now', r->'now', 'refs', r->'refs', 'unavailable', r->'unavailable',
        'cut', coalesce(r->'cut', '[]') || coalesce(r->'erased', '[]'),
        'accounts', (SELECT json_agg(a - 12 - 9) FROM jsonb_array_elements(r->'accounts') a),
        'keys', (
            SELECT json_agg(CASE WHEN k->3 = 'null' AND k->4 = 'false' AND k->5 = '[]' AND k->>15 = 'default' THEN k
                                 ELSE jsonb_set(k, '{7,concurrent}', '0') END - 15 - 5 - 4 - 3)
            FROM jsonb_array_elements(r->'keys') k
            WHERE NOT EXISTS (SELECT FROM jsonb_array_elements(k->5) parent WHERE NOT EXISTS (
                SELECT FROM jsonb_array_elements(r->'keys') o WHERE o->0 = parent))),
        'secrets', (SELECT json_agg(s - 4) FROM jsonb_array_elements(r->'secrets') s),
        'claims', (SELECT json_agg(c - 5) FROM jsonb_array_elements(r->'claims') c WHERE NOT EXISTS (
            SELECT FROM jsonb_array_elements(r->'accounts') a WHERE a->0 = c->0 AND a->12 > c->5)),
        'holds', (SELECT json_agg(CASE WHEN h->>5 = 'erased' THEN jsonb_set(h, '{5}', '"void"') ELSE h END - 26 - 16)
                  FROM jsonb_array_elements(r->'holds') h));
END $$;


-- `write_batch` for a process of the release before: what it places has its account's epoch, what it ends its hold's.
-- What a call of the new release comes to there is counted on the key's parents too, whose rows `lock_batch` has locked;
-- what it took of their tokens in a minute passes by itself.
CREATE OR REPLACE FUNCTION ledger_apply(
    _placed json, _changed json, _accounts json, _keys json, _usage json, _transactions json
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    placed_ json; usage_ json; counted_ json;
BEGIN
    SELECT json_agg(to_jsonb(h) || jsonb_build_object('epoch', a.epoch)) INTO placed_
    FROM json_populate_recordset(NULL::holds, _placed) h JOIN accounts a ON a.id = h.account_id;
    SELECT json_agg(to_jsonb(u) || jsonb_build_object('epoch', coalesce(h.epoch, a.epoch))) INTO usage_
    FROM json_populate_recordset(NULL::usage, _usage) u JOIN accounts a ON a.id = u.account_id
    LEFT JOIN holds h ON h.id = u.hold_id;
    SELECT json_agg(json_build_object(
        'key_id', h.key_id, 'began', (h.created_at AT TIME ZONE 'UTC')::date,
        'ended', (h.state = 'open' AND n.state <> 'open')::int,
        'spent', CASE n.state WHEN 'open' THEN n.amount ELSE n.charged - n.refunded END
                 - CASE h.state WHEN 'open' THEN h.amount ELSE h.charged - h.refunded END)) INTO counted_
    FROM json_populate_recordset(NULL::holds, _changed) n JOIN holds h ON h.id = n.id
    WHERE h.ancestor_tokens_limits IS NOT NULL;
    PERFORM write_batch(placed_, _changed, _accounts, _keys, usage_, _transactions);
    UPDATE api_keys k SET open_holds = k.open_holds - c.ended, day_credits = k.day_credits + c.of_day,
        month_credits = k.month_credits + c.of_month
    FROM (
        SELECT p.id, sum(c.ended) AS ended, coalesce(sum(c.spent) FILTER (WHERE p.day = c.began), 0) AS of_day,
               coalesce(sum(c.spent) FILTER (WHERE p.month = date_trunc('month', c.began)), 0) AS of_month
        FROM json_to_recordset(counted_) AS c(key_id uuid, began date, ended bigint, spent bigint)
        JOIN api_keys o ON o.id = c.key_id JOIN api_keys p ON p.id = ANY(o.ancestors) GROUP BY p.id
    ) c WHERE k.id = c.id;
END $$;


-- What is kept for a time goes by these functions alone: the application's role deletes none of these rows itself, and
-- none that is young. Each leaves out what somebody has locked, and what must be kept after all, and returns how many
-- rows are gone. How far holds and usage have gone is recorded with them, for the audit.
CREATE OR REPLACE FUNCTION require_horizon(_horizon timestamptz) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF _horizon IS NULL OR _horizon > now() - interval '1 day' OR _horizon <> date_trunc('day', _horizon, 'UTC') THEN
        RAISE EXCEPTION 'nothing may be forgotten up to %', _horizon USING ERRCODE = 'check_violation';
    END IF;
END $$;


-- Holds with their jobs. Asked again once they are locked: a refund may have come in between, or has a job's row and
-- waits for its hold. A job's row is kept while something of it may lie in storage.
CREATE OR REPLACE FUNCTION forget_holds(_ids uuid[], _horizon timestamptz) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    locked uuid[]; jobs uuid[]; gone uuid[]; swept_ bigint;
BEGIN
    PERFORM require_horizon(_horizon);
    locked := ARRAY(SELECT id FROM holds WHERE id = ANY(_ids) AND state <> 'open' AND closed_at < _horizon
                    ORDER BY id FOR UPDATE SKIP LOCKED);
    jobs := ARRAY(SELECT id FROM media_jobs WHERE id = ANY(locked) ORDER BY id FOR UPDATE SKIP LOCKED);
    WITH deleted AS (
        DELETE FROM holds h WHERE h.id = ANY(locked)
            AND NOT EXISTS (SELECT FROM transactions t WHERE t.hold_id = h.id AND t.kind <> 'extend'
                            AND t.created_at >= _horizon)
            AND NOT EXISTS (SELECT FROM media_jobs j WHERE j.id = h.id AND (j.id <> ALL(jobs)
                OR j.outputs_deleted_at IS NULL AND (j.state NOT IN ('failed', 'cancelled')
                                                     OR j.submit_intended_at IS NOT NULL)))
        RETURNING h.id, h.closed_by
    )
    SELECT coalesce(array_agg(id), '{}'), count(*) FILTER (WHERE closed_by = 'sweeper') INTO gone, swept_ FROM deleted;
    DELETE FROM media_jobs WHERE id = ANY(gone);
    IF cardinality(gone) > 0 THEN
        INSERT INTO pruned AS p (what, horizon, swept) VALUES ('holds', _horizon, swept_) ON CONFLICT (what)
        DO UPDATE SET horizon = greatest(p.horizon, excluded.horizon), swept = p.swept + excluded.swept;
    END IF;
    RETURN cardinality(gone);
END $$;


CREATE OR REPLACE FUNCTION forget_usage(_ids uuid[], _horizon timestamptz) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    gone bigint;
BEGIN
    PERFORM require_horizon(_horizon);
    DELETE FROM usage WHERE hold_id IN (
        SELECT hold_id FROM usage WHERE hold_id = ANY(_ids) AND created_at < _horizon
        ORDER BY hold_id FOR UPDATE SKIP LOCKED);
    GET DIAGNOSTICS gone = ROW_COUNT;
    IF gone > 0 THEN
        INSERT INTO pruned AS p (what, horizon) VALUES ('usage', _horizon) ON CONFLICT (what)
        DO UPDATE SET horizon = greatest(p.horizon, excluded.horizon);
    END IF;
    RETURN gone;
END $$;


CREATE OR REPLACE FUNCTION forget_idempotency(_accounts uuid[], _scopes bytea[]) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    gone bigint;
BEGIN
    DELETE FROM idempotency WHERE (account_id, scope) IN (
        SELECT i.account_id, i.scope FROM unnest(_accounts, _scopes) AS c(account_id, scope)
        JOIN idempotency i ON i.account_id = c.account_id AND i.scope = c.scope
        WHERE i.expires_at < now() FOR UPDATE OF i SKIP LOCKED);
    GET DIAGNOSTICS gone = ROW_COUNT;
    RETURN gone;
END $$;


CREATE OR REPLACE FUNCTION forget_audits(_ids bigint[], _horizon timestamptz) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    gone bigint;
BEGIN
    PERFORM require_horizon(_horizon);
    DELETE FROM audits WHERE id = ANY(_ids) AND began_at < _horizon AND id < (SELECT max(id) FROM audits);
    GET DIAGNOSTICS gone = ROW_COUNT;
    RETURN gone;
END $$;


-- Keys that the master secret wraps, wrapped by another one. The only way in which one changes: as long as it is what the
-- caller has opened, and never when it has been destroyed. A locked row is left for the next pass.
CREATE OR REPLACE FUNCTION rewrap_data_keys(_accounts uuid[], _epochs bigint[], _from bytea[], _to bytea[], _by text)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    done bigint;
BEGIN
    WITH opened AS (
        SELECT d.account_id, d.epoch, n.becomes
        FROM unnest(_accounts, _epochs, _from, _to) AS n(account_id, epoch, was, becomes)
        JOIN data_keys d ON d.account_id = n.account_id AND d.epoch = n.epoch
        WHERE d.wrapped = n.was AND octet_length(n.becomes) = octet_length(n.was)
        ORDER BY d.account_id, d.epoch FOR UPDATE OF d SKIP LOCKED)
    UPDATE data_keys d SET wrapped = o.becomes, wrapped_by = _by,
        checksum = checksum_of(encode(o.becomes, 'hex'), d.account_id::text, d.epoch::text)
    FROM opened o WHERE d.account_id = o.account_id AND d.epoch = o.epoch;
    GET DIAGNOSTICS done = ROW_COUNT;
    RETURN done;
END $$;


CREATE OR REPLACE FUNCTION rewrap_mailbox_keys(_ids smallint[], _from bytea[], _to bytea[], _by text)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    done bigint;
BEGIN
    UPDATE mailbox_keys k SET wrapped = n.becomes, wrapped_by = _by FROM unnest(_ids, _from, _to) AS n(id, was, becomes)
    WHERE k.id = n.id AND k.wrapped = n.was AND octet_length(n.becomes) = octet_length(n.was);
    GET DIAGNOSTICS done = ROW_COUNT;
    RETURN done;
END $$;


CREATE OR REPLACE FUNCTION rewrap_visitor_days(_days date[], _from bytea[], _to bytea[], _by text)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    done bigint;
BEGIN
    UPDATE visitor_days d SET wrapped = n.becomes, wrapped_by = _by FROM unnest(_days, _from, _to) AS n(day, was, becomes)
    WHERE d.day = n.day AND d.wrapped = n.was AND octet_length(n.becomes) = octet_length(n.was);
    GET DIAGNOSTICS done = ROW_COUNT;
    RETURN done;
END $$;


CREATE OR REPLACE FUNCTION rewrap_receipt_keys(_kids text[], _from bytea[], _to bytea[], _by text)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    done bigint;
BEGIN
    UPDATE receipt_keys k SET wrapped = n.becomes, wrapped_by = _by FROM unnest(_kids, _from, _to) AS n(kid, was, becomes)
    WHERE k.kid = n.kid AND k.wrapped = n.was AND octet_length(n.becomes) = octet_length(n.was);
    GET DIAGNOSTICS done = ROW_COUNT;
    RETURN done;
END $$;


-- Purges. What an account did is erased by these functions alone, and only while its purge runs: each takes the purge's
-- id, and reads from its row which account and which epochs that is. See db/erasure.py for the other tables.
CREATE OR REPLACE FUNCTION running_purge(_purge uuid) RETURNS purges LANGUAGE plpgsql STABLE AS $$
DECLARE
    found_ purges;
BEGIN
    SELECT * INTO found_ FROM purges WHERE id = _purge AND completed_at IS NULL;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no such purge runs' USING ERRCODE = 'check_violation';
    END IF;
    RETURN found_;
END $$;


-- The fence: from its commit on, what older epochs write is refused. The caller has locked the account.
CREATE OR REPLACE FUNCTION begin_purge(_id uuid, _account uuid, _part text, _part_id text, _sessions boolean)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    epoch_ bigint; movements_ bigint; balance_ bigint;
BEGIN
    UPDATE accounts SET epoch = epoch + CASE WHEN _part = '' THEN 1 ELSE 0 END WHERE id = _account
    RETURNING epoch, movements, available + held INTO STRICT epoch_, movements_, balance_;
    INSERT INTO purges (id, account_id, epoch, part, part_id, sessions, movements, balance)
    VALUES (_id, _account, epoch_, _part, _part_id, _sessions, movements_, balance_);
    RETURN epoch_;
END $$;


CREATE OR REPLACE FUNCTION shred_keys(_purge uuid) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    p purges := running_purge(_purge); gone bigint;
BEGIN
    UPDATE data_keys SET wrapped = NULL, destroyed_at = clock_timestamp()
    WHERE account_id = p.account_id AND epoch < p.epoch AND p.part = '' AND wrapped IS NOT NULL;
    GET DIAGNOSTICS gone = ROW_COUNT;
    RETURN gone;
END $$;


-- One batch of the rows that the application cannot delete itself. Of one job: its row and what replays it.
CREATE OR REPLACE FUNCTION erase_rows(_purge uuid, _table text, _batch bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    p purges := running_purge(_purge); gone bigint; one text;
BEGIN
    one := CASE _table WHEN 'media_jobs' THEN 'id' WHEN 'idempotency' THEN 'hold_id' END;
    IF _table NOT IN ('media_jobs', 'idempotency', 'usage_days', 'running_balances') OR p.part <> '' AND (p.part <> 'job' OR one IS NULL) THEN
        RAISE EXCEPTION 'this purge erases nothing of %', _table USING ERRCODE = 'check_violation';
    END IF;
    EXECUTE format('DELETE FROM %1$I WHERE ctid = ANY(ARRAY(SELECT ctid FROM %1$I WHERE account_id = $1 AND %2$s LIMIT $3))',
                   _table, CASE WHEN p.part = '' THEN 'epoch < $2' ELSE format('%I = %L::uuid', one, p.part_id) END)
    USING p.account_id, p.epoch, _batch;
    GET DIAGNOSTICS gone = ROW_COUNT;
    RETURN gone;
END $$;


-- References and notes of what is not rolled up: a reference is recognised by its hash from then on.
CREATE OR REPLACE FUNCTION ref_digest(_ref text) RETURNS text LANGUAGE sql IMMUTABLE
RETURN 'sha256:' || encode(sha256(convert_to('yout reference|' || _ref, 'UTF8')), 'hex');


CREATE OR REPLACE FUNCTION hash_references(_purge uuid) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    p purges := running_purge(_purge); changed bigint;
BEGIN
    PERFORM set_config('yout.purge', _purge::text, true);
    UPDATE transactions t SET ref = n.ref, note = n.note, checksum = checksum_of(
        t.kind, t.account_id::text, NULL, n.ref, n.note, l.amount::text)
    FROM transactions o CROSS JOIN LATERAL (
        SELECT ref_digest(o.ref) AS ref, CASE WHEN o.note IS NOT NULL THEN 'erased' END AS note) n
    JOIN lines l ON l.transaction_id = o.id AND l.book = 'available'
    WHERE t.id = o.id AND o.account_id = p.account_id AND o.position <= p.movements AND o.hold_id IS NULL
        AND o.kind <> 'purge' AND o.ref NOT LIKE 'sha256:%' AND p.part = '';
    GET DIAGNOSTICS changed = ROW_COUNT;
    PERFORM set_config('yout.purge', '', true);
    RETURN changed;
END $$;


-- One batch of calls of older epochs: their movements, usage and holds go, and the sums of their postings are added to
-- one movement of the kind 'purge'. What did not agree is counted, for the audit. Only until there is such a movement is
-- the account locked, for its position. Returns how many calls are gone; null when none is left.
CREATE OR REPLACE FUNCTION roll_up(_purge uuid, _batch bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    p purges := running_purge(_purge); r roll_ups; ids uuid[]; last bigint; at_ timestamptz;
    position_ bigint; n record;
BEGIN
    IF p.part <> '' THEN
        RAISE EXCEPTION 'this purge rolls nothing up' USING ERRCODE = 'check_violation';
    END IF;
    SELECT * INTO r FROM roll_ups WHERE purge_id = _purge FOR UPDATE;
    IF r.purge_id IS NULL OR r.transaction_id IS NULL THEN
        PERFORM FROM accounts WHERE id = p.account_id FOR UPDATE;
        DELETE FROM running_balances WHERE account_id = p.account_id;  -- those after the sum has its position are right
        _batch := least(_batch, 200);
    END IF;
    IF r.purge_id IS NULL THEN
        IF EXISTS (SELECT FROM holds WHERE account_id = p.account_id AND state = 'open' AND epoch < p.epoch) THEN
            RAISE EXCEPTION 'a call of an older epoch runs' USING ERRCODE = 'check_violation';
        END IF;
        INSERT INTO roll_ups (purge_id, account_id, until)
        SELECT _purge, id, movements FROM accounts WHERE id = p.account_id RETURNING * INTO r;
    END IF;

    SELECT array_agg(t.hold_id) FILTER (WHERE h.epoch IS NULL OR h.epoch < p.epoch), max(t.position) INTO ids, last
    FROM (SELECT hold_id, position FROM transactions
          WHERE account_id = p.account_id AND position > r.position AND position <= r.until AND kind = 'hold'
          ORDER BY position LIMIT _batch) t LEFT JOIN holds h ON h.id = t.hold_id;
    IF last IS NULL THEN
        UPDATE holds SET state = 'erased', kind = '', model = ''
        WHERE account_id = p.account_id AND epoch < p.epoch AND state = 'void' AND amount = 0;
        RETURN NULL;
    END IF;
    ids := coalesce(ids, '{}');
    PERFORM FROM holds WHERE id = ANY(ids) ORDER BY id FOR UPDATE;
    PERFORM set_config('yout.purge', _purge::text, true);
    WITH one AS (
        DELETE FROM transactions WHERE hold_id = ANY(ids) AND kind <> 'extend' RETURNING id, kind, hold_id, position, created_at
    ), more AS (
        DELETE FROM transactions WHERE hold_id = ANY(ids) AND kind = 'extend' RETURNING id, kind, hold_id, position, created_at
    ), moved AS (
        SELECT * FROM one UNION ALL SELECT * FROM more
    ), posted AS (
        DELETE FROM lines l USING moved m WHERE l.transaction_id = m.id
        RETURNING m.hold_id, m.kind, m.position, m.created_at, l.transaction_id, l.book, l.amount
    ), used AS (
        DELETE FROM usage WHERE hold_id = ANY(ids) RETURNING hold_id, credits, written_off
    ), emptied AS (
        UPDATE holds SET state = 'erased', key_id = NULL, kind = '', model = '', amount = 0, price_version = '',
            prices = NULL, input_bound = 0, input_count = 0, output_limit = NULL, choices = 1, tokens_taken = 0,
            tokens_limit = NULL, account_tokens_limit = NULL, relayed_output = 0, charged = 0, written_off = 0,
            refunded = 0, max_credits = NULL, lease_until = NULL, ancestor_tokens_limits = NULL
        WHERE id = ANY(ids)
    ), ended AS (
        SELECT hold_id, sum(amount) AS total,
               coalesce(sum(amount) FILTER (WHERE book = 'available'), 0) AS available,
               coalesce(sum(amount) FILTER (WHERE book = 'held'), 0) AS held,
               coalesce(sum(amount) FILTER (WHERE book = 'revenue'), 0) AS revenue,
               coalesce(sum(amount) FILTER (WHERE book = 'written_off'), 0) AS written_off,
               count(DISTINCT transaction_id) AS movements,
               coalesce(bool_or(kind = 'charge'), false) AS charged, coalesce(bool_or(kind = 'release'), false) AS released,
               -coalesce(sum(amount) FILTER (WHERE kind = 'charge' AND book IN ('available', 'held')), 0) AS credits,
               -coalesce(sum(amount) FILTER (WHERE kind = 'charge' AND book = 'written_off'), 0) AS lost,
               coalesce(sum(amount) FILTER (WHERE kind = 'refund' AND book = 'available'), 0) AS refunded,
               -coalesce(sum(amount) FILTER (WHERE position > p.movements AND book IN ('available', 'held')), 0) AS cut,
               min(created_at) AS began
        FROM posted GROUP BY hold_id
    )
    SELECT count(*) AS calls, count(*) FILTER (WHERE e.charged) AS charges, sum(e.movements) AS movements,
           sum(e.available) AS available, sum(e.held) AS held, sum(e.revenue) AS revenue,
           sum(e.written_off) AS written_off, count(u.hold_id) AS used, coalesce(sum(u.credits), 0) AS usage_credits,
           sum(e.cut) AS cut,
           count(*) FILTER (WHERE e.total <> 0 OR e.held <> 0 OR e.charged = e.released
               OR h.id IS NOT NULL AND (h.state <> CASE WHEN e.charged THEN 'settled' ELSE 'void' END
                   OR h.account_id <> p.account_id OR (h.charged, h.written_off, h.refunded) <> (e.credits, e.lost, e.refunded))
               OR u.hold_id IS NOT NULL AND (NOT e.charged OR (u.credits, u.written_off) <> (e.credits, e.lost))
               OR u.hold_id IS NULL AND e.charged AND e.began >= (
                   SELECT coalesce(max(horizon), '-infinity') FROM pruned WHERE what = 'usage')) AS faults
    INTO n FROM ended e LEFT JOIN holds h ON h.id = e.hold_id LEFT JOIN used u ON u.hold_id = e.hold_id;

    IF (n.available, n.revenue, n.written_off) <> (0, 0, 0) THEN
        IF r.transaction_id IS NULL THEN
            r.transaction_id := uuidv7();
            UPDATE accounts SET movements = movements + 1,
                moved_at = greatest(clock_timestamp(), moved_at + interval '1 microsecond')
            WHERE id = p.account_id RETURNING moved_at, movements INTO at_, position_;
        END IF;
        WITH made AS (
            INSERT INTO transactions (id, kind, account_id, ref, position, created_at)
            SELECT r.transaction_id, 'purge', p.account_id, 'purge:' || _purge, position_, at_ WHERE position_ IS NOT NULL
        )
        INSERT INTO lines AS l (transaction_id, book, account_id, amount)
        SELECT r.transaction_id, b.book, CASE WHEN b.book = 'available' THEN p.account_id END, b.amount
        FROM (VALUES ('available', n.available), ('revenue', n.revenue), ('written_off', n.written_off)) b(book, amount)
        WHERE b.amount <> 0
        ON CONFLICT (transaction_id, book) DO UPDATE SET amount = l.amount + excluded.amount;
        UPDATE transactions SET checksum = checksum_of(kind, account_id::text, NULL, ref, NULL, (
            SELECT amount::text FROM lines l WHERE l.transaction_id = r.transaction_id AND l.book = 'available'))
        WHERE id = r.transaction_id;
    END IF;
    UPDATE roll_ups SET transaction_id = r.transaction_id, position = last, movements = movements + coalesce(n.movements, 0),
        calls = calls + n.calls, charges = charges + n.charges, credits = credits - coalesce(n.available, 0),
        written_off = written_off - coalesce(n.written_off, 0), usage_entries = usage_entries + n.used,
        usage_credits = usage_credits + n.usage_credits, credits_at_cut = credits_at_cut + coalesce(n.cut, 0),
        faults = faults + n.faults
    WHERE purge_id = _purge;
    PERFORM set_config('yout.purge', '', true);
    RETURN n.calls;
END $$;


REVOKE ALL ON FUNCTION forget_holds, forget_usage, forget_idempotency, forget_audits, rewrap_data_keys,
    rewrap_mailbox_keys, rewrap_receipt_keys, rewrap_visitor_days FROM PUBLIC;
REVOKE ALL ON FUNCTION begin_purge, shred_keys, erase_rows, hash_references, roll_up FROM PUBLIC;


-- A version 7 UUID: such ids sort by creation time.
CREATE OR REPLACE FUNCTION new_uuid7() RETURNS uuid LANGUAGE sql VOLATILE AS $$
    SELECT encode(set_bit(set_bit(overlay(uuid_send(gen_random_uuid())
        PLACING substring(int8send((extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3) FROM 1 FOR 6),
        52, 1), 53, 1), 'hex')::uuid
$$;


-- The account of a row that belongs to another row. A job's files come before their job: those name it themselves.
CREATE OR REPLACE FUNCTION account_of_parent() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.account_id IS NULL THEN
        CASE TG_TABLE_NAME
            WHEN 'api_key_secrets' THEN SELECT account_id INTO NEW.account_id FROM api_keys WHERE id = NEW.key_id;
            WHEN 'job_inputs' THEN SELECT account_id INTO NEW.account_id FROM media_jobs WHERE id = NEW.job_id;
            WHEN 'upload_parts' THEN SELECT account_id INTO NEW.account_id FROM uploads WHERE id = NEW.upload_id;
            WHEN 'purge_receipts' THEN SELECT account_id INTO NEW.account_id FROM purges WHERE id = NEW.purge_id;
            ELSE SELECT account_id INTO NEW.account_id FROM users WHERE id = NEW.user_id;
        END CASE;
    END IF;
    RETURN NEW;
END $$;


-- Tell everybody who wants to know, in the transaction in which it happens. Nothing is written if nobody does.
-- Returns the number of deliveries. Endpoints and URLs of an older epoch are erased by a purge, and told nothing.
CREATE OR REPLACE FUNCTION record_event(_account uuid, _type text, _subject uuid, _data jsonb) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    event uuid := new_uuid7(); to_endpoints bigint; to_urls bigint; epoch_ bigint;
BEGIN
    IF NOT EXISTS (SELECT FROM webhook_endpoints WHERE account_id = _account AND enabled)
       AND NOT EXISTS (SELECT FROM webhook_deliveries WHERE subject = _subject AND state = 'waiting') THEN
        RETURN 0;
    END IF;
    SELECT epoch INTO epoch_ FROM accounts WHERE id = _account;
    IF NOT EXISTS (SELECT FROM webhook_endpoints WHERE account_id = _account AND enabled AND epoch = epoch_
                   AND (types IS NULL OR _type = ANY(types)))
       AND NOT EXISTS (SELECT FROM webhook_deliveries WHERE subject = _subject AND state = 'waiting'
                       AND account_id = _account AND epoch = epoch_) THEN
        RETURN 0;
    END IF;
    INSERT INTO events (id, account_id, epoch, type, subject, data, created_at)
    VALUES (event, _account, epoch_, _type, _subject, _data, clock_timestamp());
    INSERT INTO webhook_deliveries (id, account_id, epoch, event_id, endpoint_id, state, created_at, next_attempt_at)
    SELECT new_uuid7(), _account, epoch_, event, e.id, 'pending', clock_timestamp(), clock_timestamp()
    FROM webhook_endpoints e
    WHERE e.account_id = _account AND e.enabled AND e.epoch = epoch_ AND (e.types IS NULL OR _type = ANY(e.types));
    GET DIAGNOSTICS to_endpoints = ROW_COUNT;
    UPDATE webhook_deliveries SET event_id = event, state = 'pending', next_attempt_at = clock_timestamp()
    WHERE subject = _subject AND state = 'waiting' AND account_id = _account AND epoch = epoch_;
    GET DIAGNOSTICS to_urls = ROW_COUNT;
    RETURN to_endpoints + to_urls;
END $$;


-- The balances after a movement, for statements. The trigger `running_balance` of the table accounts calls it, for the
-- last movement of a batch, when that or one before it is the 500th since the last time. The application cannot write
-- there itself.
CREATE OR REPLACE FUNCTION note_balance() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO running_balances (account_id, position, available, held, epoch)
    VALUES (NEW.id, NEW.movements, NEW.available, NEW.held, NEW.epoch);
    RETURN NULL;
END $$;


-- The balance, held credits included, fell below what the account's owner set. A hold alone does not cross it.
-- The trigger `credits_low` of the table accounts calls it, which decides that without a call.
CREATE OR REPLACE FUNCTION credits_fell() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM record_event(NEW.id, 'credits.low', NULL, jsonb_build_object(
        'balance', NEW.available, 'held', NEW.held, 'threshold', NEW.credits_low, 'sequence', NEW.movements));
    RETURN NULL;
END $$;
