use std::collections::HashMap;

use steadfast_core::transport::Error;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use super::Settings;
use super::status::status;
use crate::postgres::error::{configuration, denied, of, of_replication, rejected, unavailable};
use crate::postgres::replication::Failure;

/// How long changing a table's replica identity waits for whoever uses it: others queue up behind it meanwhile.
const LOCK_WITHIN: &str = "5s";

/// The watched tables by their numbers, by which the log names them also when they are renamed: the columns of their
/// primary keys.
pub(super) type Tables = HashMap<u32, Vec<String>>;

/// A watched table.
struct Table {
    oid: u32,
    is_partitioned: bool,
    /// With its schema, quoted where needed.
    sql_name: String,
    full_name: String,
    replica_identity: i8,
    key: Vec<String>,
}

/// Sees to it that the server can replicate, and that publication and slot are there.
pub(super) async fn prepare(client: &Client, settings: &Settings, slot: &str) -> Result<Tables, Error> {
    check_server(client).await?;
    let mut tables = Vec::new();
    for name in &settings.tables {
        tables.push(table(client, name).await?);
    }
    for table in &tables {
        identify(client, settings, table).await?;
    }
    publish(client, settings, &tables).await?;
    // Last: decoding begins at the slot, and the publication must be there by then.
    make_slot(client, settings, slot).await?;
    Ok(tables.into_iter().map(|table| (table.oid, table.key)).collect())
}

async fn check_server(client: &Client) -> Result<(), Error> {
    let row = client.query_one("SELECT pg_is_in_recovery()", &[]).await.map_err(|error| of(&error))?;
    if row.get(0) {
        return Err(of_replication(&Failure::Standby));
    }
    // Amazon's RDS has no attribute to give away, but a role.
    let sql = "SELECT current_setting('wal_level'), current_user::text, rolreplication OR rolsuper OR EXISTS \
               (SELECT FROM pg_roles WHERE rolname = 'rds_replication' AND pg_has_role(current_user, oid, 'MEMBER')) \
               FROM pg_roles WHERE rolname = current_user";
    let row = client.query_one(sql, &[]).await.map_err(|error| of(&error))?;
    let (level, user, may): (String, String, bool) = (row.get(0), row.get(1), row.get(2));
    if level != "logical" {
        let problem = format!(
            "is `{level}` on the server: set `wal_level = logical` in postgresql.conf and restart the server, or \
             use the outbox table"
        );
        return Err(configuration("wal_level", problem));
    }
    if !may {
        let mend = format!(
            "run `ALTER ROLE \"{user}\" REPLICATION` as a superuser (on Amazon RDS `GRANT rds_replication`), or use \
             the outbox table"
        );
        return Err(denied(format!("the role `{user}` may not replicate: {mend}")));
    }
    Ok(())
}

async fn table(client: &Client, name: &str) -> Result<Table, Error> {
    let sql = "SELECT format('%I.%I', nspname, relname), nspname || '.' || relname, relreplident, \
               ARRAY(SELECT attname::text FROM pg_index JOIN unnest(indkey) WITH ORDINALITY AS k(n, place) ON true \
                     JOIN pg_attribute a ON a.attrelid = indrelid AND a.attnum = k.n \
                     WHERE indrelid = c.oid AND indisprimary AND place <= indnkeyatts ORDER BY place), \
               c.oid, relkind = 'p' \
               FROM pg_class c JOIN pg_namespace ON pg_namespace.oid = relnamespace \
               WHERE c.oid = to_regclass($1) AND relkind IN ('r', 'p')";
    let row = client.query_opt(sql, &[&name]).await.map_err(|error| of(&error))?;
    let row = row.ok_or_else(|| {
        configuration("tables", format!("there is no table `{name}`: create it first, or name its schema"))
    })?;
    Ok(Table {
        sql_name: row.get(0),
        full_name: row.get(1),
        replica_identity: row.get(2),
        key: row.get(3),
        oid: row.get(4),
        is_partitioned: row.get(5),
    })
}

/// Sees to it that rows can be told apart: PostgreSQL refuses updates of a published table where they cannot.
async fn identify(client: &Client, settings: &Settings, table: &Table) -> Result<(), Error> {
    let identity = |byte: i8| u8::try_from(byte).unwrap_or(0);
    let mut parts = vec![(table.sql_name.clone(), identity(table.replica_identity))];
    if table.is_partitioned {
        // What a row was is logged as its partition says, and told as the whole table says.
        let sql = "SELECT format('%I.%I', nspname, relname), relreplident FROM pg_partition_tree($1::oid) AS part \
                   JOIN pg_class c ON c.oid = part.relid JOIN pg_namespace ON pg_namespace.oid = relnamespace \
                   WHERE part.level > 0";
        let rows = client.query(sql, &[&table.oid]).await.map_err(|error| of(&error))?;
        parts.extend(rows.iter().map(|row| (row.get(0), identity(row.get(1)))));
    }
    for (sql_name, identity) in parts {
        if settings.full_before && identity != b'f' {
            let sql = format!("ALTER TABLE {sql_name} REPLICA IDENTITY FULL");
            let within = format!("SET lock_timeout = '{LOCK_WITHIN}'; {sql}; RESET lock_timeout");
            client.batch_execute(&within).await.map_err(|error| refused(&error, &sql))?;
        } else if identity == b'n' || (identity == b'd' && table.key.is_empty()) {
            let problem = format!(
                "`{sql_name}` has no primary key, without which its rows cannot be updated once it is published: \
                 add one, run `ALTER TABLE {sql_name} REPLICA IDENTITY FULL`, or set `fullBefore`"
            );
            return Err(configuration("tables", problem));
        }
    }
    Ok(())
}

async fn publish(client: &Client, settings: &Settings, tables: &[Table]) -> Result<(), Error> {
    let sql = "SELECT pubinsert AND pubupdate AND pubdelete AND pubtruncate, pubviaroot FROM pg_publication \
               WHERE pubname = $1";
    let publication = client.query_opt(sql, &[&settings.publication]).await.map_err(|error| of(&error))?;
    let quoted = quote(&settings.publication);
    let Some(publication) = publication else {
        let names: Vec<&str> = tables.iter().map(|table| table.sql_name.as_str()).collect();
        let names = names.join(", ");
        let sql =
            format!("CREATE PUBLICATION {quoted} FOR TABLE {names} WITH (publish_via_partition_root = true)");
        return create(client, settings, "publication", &sql).await;
    };
    // It may be somebody else's: it is not changed but by adding to it.
    let (is_whole, by_root): (bool, bool) = (publication.get(0), publication.get(1));
    let lacks = |what: &str, option: &str| {
        let mend = format!("run `ALTER PUBLICATION {quoted} SET ({option})`, or name another publication");
        Err(configuration("publication", format!("{what}: {mend}")))
    };
    if !is_whole {
        return lacks("leaves out a kind of change", "publish = 'insert, update, delete, truncate'");
    }
    if let Some(table) = tables.iter().find(|table| table.is_partitioned && !by_root) {
        let what = format!("would tell of the partitions of `{}` as tables of their own", table.sql_name);
        return lacks(&what, "publish_via_partition_root = true");
    }
    let sql = "SELECT schemaname || '.' || tablename FROM pg_publication_tables WHERE pubname = $1";
    let rows = client.query(sql, &[&settings.publication]).await.map_err(|error| of(&error))?;
    let published: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    for table in tables.iter().filter(|table| !published.contains(&table.full_name)) {
        let sql = format!("ALTER PUBLICATION {quoted} ADD TABLE {}", table.sql_name);
        create(client, settings, "publication", &sql).await?;
    }
    Ok(())
}

async fn make_slot(client: &Client, settings: &Settings, slot: &str) -> Result<(), Error> {
    if let Some(status) = status(client, slot).await? {
        if status.wal_status == "lost" {
            return Err(lost(slot));
        }
        return Ok(());
    }
    let sql = format!("SELECT pg_create_logical_replication_slot('{slot}', 'pgoutput')");
    let creating = create(client, settings, "slot", &sql);
    match tokio::time::timeout(settings.create_timeout.0, creating).await {
        Ok(created) => {
            created?;
            tracing::warn!(slot, "a slot was made: what was changed before is not told to its group");
            Ok(())
        }
        Err(_) => Err(unavailable(format!(
            "making the slot `{slot}` waits for transactions that were open before; look for them in pg_stat_activity"
        ))),
    }
}

/// Runs a statement that makes something, where that is wanted. Another receiver may do the same at this moment.
async fn create(client: &Client, settings: &Settings, field: &'static str, sql: &str) -> Result<(), Error> {
    if !settings.create {
        return Err(configuration(field, format!("is not as it must be, and `create` is off: run `{sql}`")));
    }
    match client.batch_execute(sql).await {
        Err(error) if error.code() == Some(&SqlState::DUPLICATE_OBJECT) => Ok(()),
        Err(error) if error.code() == Some(&SqlState::CONFIGURATION_LIMIT_EXCEEDED) => Err(configuration(
            "max_replication_slots",
            "is reached on the server: raise it, or drop slots not in use",
        )),
        Err(error) => Err(refused(&error, sql)),
        Ok(()) => Ok(()),
    }
}

/// Adds the mend to a refusal for want of rights.
fn refused(error: &tokio_postgres::Error, sql: &str) -> Error {
    match of(error) {
        Error::Denied { reason, .. } => denied(format!(
            "{reason}: have `{sql}` run by who may (the tables' owner with CREATE on the database, or a superuser)"
        )),
        other => other,
    }
}

pub(super) fn lost(slot: &str) -> Error {
    rejected(format!(
        "the server has removed log that the slot `{slot}` needed (`max_slot_wal_keep_size`): changes are lost to this \
         group; drop the group, bring its state up to date by other means, and subscribe again"
    ))
}

fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
