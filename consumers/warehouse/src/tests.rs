//! The warehouse over a batch store in memory, with crashes in every place.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    path::PathBuf,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use arrow_array::{Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use async_trait::async_trait;
use billwire_delivery::{channel::BulkSink, event::Event};
use billwire_schemas::ids::{EventId, TenantId, fresh};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::json;

use crate::{BatchStore, Directory, Warehouse};

/// Stands in for SQL: it outlives a `Warehouse` as the database outlives a process.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    /// Every event there is, as the outbox holds them.
    events: Vec<Event>,
    batch_of: BTreeMap<EventId, i64>,
    written: Vec<i64>,
    batches: i64,
    /// `written` fails this many times, `assign` so many times after it was committed.
    written_fails: u32,
    assign_fails: u32,
}

#[async_trait]
impl BatchStore for Memory {
    async fn unwritten(&self) -> Result<Vec<(i64, Vec<Event>)>, String> {
        let kept = self.0.lock().unwrap();
        let open = (1..=kept.batches).filter(|batch| !kept.written.contains(batch));
        let members = |batch| kept.events.iter().filter(|event| kept.batch_of.get(&event.id) == Some(&batch)).cloned().collect();
        Ok(open.map(|batch| (batch, members(batch))).collect())
    }

    async fn assign(&self, ids: &[EventId]) -> Result<Option<(i64, Vec<EventId>)>, String> {
        let mut kept = self.0.lock().unwrap();
        let free: Vec<EventId> = ids.iter().copied().filter(|id| !kept.batch_of.contains_key(id)).collect();
        if free.is_empty() {
            return Ok(None);
        }
        kept.batches += 1;
        let batch = kept.batches;
        kept.batch_of.extend(free.iter().map(|id| (*id, batch)));
        if kept.assign_fails > 0 {
            kept.assign_fails -= 1;
            return Err("connection lost after commit".to_owned());
        }
        Ok(Some((batch, free)))
    }

    async fn written(&self, batch: i64) -> Result<(), String> {
        let mut kept = self.0.lock().unwrap();
        if kept.written_fails > 0 {
            kept.written_fails -= 1;
            return Err("database away".to_owned());
        }
        kept.written.push(batch);
        Ok(())
    }
}

struct Rig {
    root: PathBuf,
    batch_store: Memory,
}

impl Rig {
    fn new() -> Self {
        Self { root: std::env::temp_dir().join(format!("billwire-warehouse-{}", fresh())), batch_store: Memory::default() }
    }

    fn directory(&self) -> Directory {
        Directory::open(&format!("file://{}", self.root.display())).unwrap()
    }

    /// A fresh process over what is kept.
    fn warehouse(&self) -> Warehouse<Memory> {
        Warehouse::new(self.batch_store.clone(), self.directory())
    }

    fn events(&self, count: i64) -> Vec<Event> {
        let mut kept = self.batch_store.0.lock().unwrap();
        let first = i64::try_from(kept.events.len()).unwrap() + 1;
        let new: Vec<Event> = (first..first + count).map(event).collect();
        kept.events.extend(new.iter().cloned());
        new
    }

    fn files(&self) -> Vec<PathBuf> {
        let list = |path: PathBuf| fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
        let mut files: Vec<PathBuf> = list(self.root.join("events")).flat_map(list).collect();
        files.sort();
        files
    }

    fn rows(&self) -> Vec<RecordBatch> {
        let read = |path: &PathBuf| ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap().build().unwrap();
        self.files().iter().flat_map(read).map(Result::unwrap).collect()
    }

    /// Every event that exists stands in the files exactly once, and nothing is left lying about.
    fn assert_each_once(&self) {
        let mut found: Vec<String> = self.rows().iter().flat_map(|rows| texts(rows, "event_id")).collect();
        let mut expected: Vec<String> = self.batch_store.0.lock().unwrap().events.iter().map(|event| event.id.to_string()).collect();
        found.sort();
        expected.sort();
        assert_eq!(found, expected);
        assert_eq!(fs::read_dir(self.root.join("_tmp")).unwrap().count(), 0, "drafts left behind");
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.root);
    }
}

fn texts(rows: &RecordBatch, column: &str) -> Vec<String> {
    let column = rows.column_by_name(column).unwrap().as_any().downcast_ref::<StringArray>().unwrap();
    column.iter().map(|text| text.unwrap_or("<null>").to_owned()).collect()
}

fn event(position: i64) -> Event {
    let (id, account) = (EventId(fresh()), fresh());
    let body = json!({
        "specversion": "1.0", "id": id, "source": "/tenants/default", "type": "account.updated",
        "subject": account.to_string(), "time": "2027-01-15T09:30:00.000001Z", "datacontenttype": "application/json",
        "dataschema": "urn:billwire:account.updated:v1", "partitionkey": account.to_string(),
        "sequence": format!("{position:020}"), "transactionid": fresh().to_string(),
        "data": {
            "object": { "type": "account", "id": account.to_string(), "version": 7, "action": "updated" },
            "after": { "name": "Acme" }, "parameters": {},
        },
    });
    Event {
        id,
        tenant: TenantId::default_tenant(),
        kind: "account.updated".to_owned(),
        key: account.into(),
        sequence: position,
        position,
        body: body.to_string().into_bytes().into(),
    }
}

#[tokio::test]
async fn an_event_becomes_a_row() {
    let rig = Rig::new();
    let events = rig.events(2);
    rig.warehouse().load(&events).await.unwrap();
    assert_eq!(rig.files(), [rig.root.join("events/000000/000000000001.parquet")]);
    let rows = &rig.rows()[0];
    for (column, expected) in [
        ("event_id", events[0].id.to_string()),
        ("event_type", "account.updated".to_owned()),
        ("tenant_id", "default".to_owned()),
        ("object_type", "account".to_owned()),
        ("object_id", events[0].key.to_string()),
        ("action", "updated".to_owned()),
        ("ordering_key", events[0].key.to_string()),
        ("payload", String::from_utf8(events[0].body.to_vec()).unwrap()),
    ] {
        assert_eq!(texts(rows, column)[0], expected, "{column}");
    }
    let number = |name: &str| rows.column_by_name(name).unwrap().as_any().downcast_ref::<Int64Array>().unwrap().value(1);
    assert_eq!((number("object_version"), number("sequence")), (7, 2));
    let time = rows.column_by_name("occurred_at").unwrap().as_any().downcast_ref::<TimestampMicrosecondArray>().unwrap();
    assert_eq!((time.value(0), time.timezone()), (1_800_005_400_000_001, Some("UTC")));
    assert!(fs::read_to_string(rig.root.join("duckdb.sql")).unwrap().contains("read_parquet('events/*/*.parquet'"));
}

#[tokio::test]
async fn events_that_come_again_are_not_loaded_again() {
    let rig = Rig::new();
    let warehouse = rig.warehouse();
    let first = rig.events(5);
    warehouse.load(&first).await.unwrap();
    warehouse.load(&first).await.unwrap();
    let mixed = [rig.events(3), first, rig.events(2)].concat();
    warehouse.load(&[mixed.clone(), mixed.clone()].concat()).await.unwrap();
    rig.warehouse().load(&mixed).await.unwrap();
    rig.warehouse().load(&[]).await.unwrap();
    rig.assert_each_once();
    assert_eq!(rig.files().len(), 2);
}

#[tokio::test]
async fn a_crash_between_assigning_and_writing_loses_nothing() {
    let rig = Rig::new();
    let events = rig.events(4);
    let ids: Vec<EventId> = events.iter().map(|event| event.id).collect();
    rig.batch_store.assign(&ids).await.unwrap();
    // What a crash in the middle of writing leaves.
    fs::create_dir_all(rig.root.join("_tmp")).unwrap();
    fs::write(rig.root.join("_tmp").join(format!("000000000001.{}.parquet", fresh())), "half").unwrap();
    rig.warehouse().load(&events).await.unwrap();
    rig.assert_each_once();

    // The same within one process: the answer to the assignment was lost.
    let warehouse = rig.warehouse();
    let more = rig.events(3);
    rig.batch_store.0.lock().unwrap().assign_fails = 1;
    assert!(warehouse.load(&more).await.is_err());
    warehouse.load(&more).await.unwrap();
    rig.assert_each_once();
}

#[tokio::test]
async fn what_a_process_that_never_returns_had_assigned_is_written_by_another() {
    let rig = Rig::new();
    let survivor = rig.warehouse();
    survivor.load(&rig.events(2)).await.unwrap();
    for old_and_new in [false, true] {
        let theirs = rig.events(3);
        let ids: Vec<EventId> = theirs.iter().map(|event| event.id).collect();
        rig.batch_store.assign(&ids).await.unwrap();
        let offered = if old_and_new { [theirs, rig.events(1)].concat() } else { theirs };
        survivor.load(&offered).await.unwrap();
        rig.assert_each_once();
    }
}

#[tokio::test]
async fn a_crash_between_writing_and_marking_doubles_nothing() {
    let rig = Rig::new();
    let events = rig.events(4);
    rig.batch_store.0.lock().unwrap().written_fails = 1;
    assert!(rig.warehouse().load(&events).await.is_err());
    let before = fs::read(&rig.files()[0]).unwrap();
    // Offered again in another order, together with new ones, to a fresh process.
    let again: Vec<Event> = [rig.events(2), events].concat().into_iter().rev().collect();
    rig.warehouse().load(&again).await.unwrap();
    rig.assert_each_once();
    assert_eq!(fs::read(&rig.files()[0]).unwrap(), before);
    assert_eq!(rig.batch_store.0.lock().unwrap().written, [1, 2]);
}

#[tokio::test]
async fn a_directory_that_cannot_be_written_is_an_error_until_it_can() {
    let rig = Rig::new();
    fs::create_dir_all(&rig.root).unwrap();
    fs::write(rig.root.join("events"), "in the way").unwrap();
    let warehouse = rig.warehouse();
    let events = rig.events(3);
    assert!(warehouse.load(&events).await.unwrap_err().contains("events"));
    fs::remove_file(rig.root.join("events")).unwrap();
    warehouse.load(&events).await.unwrap();
    rig.assert_each_once();
}

#[tokio::test]
async fn processes_that_load_at_once_share_the_events_between_them() {
    let rig = Rig::new();
    let events = rig.events(200);
    let loads = (0..4).map(|worker| {
        let (warehouse, events) = (rig.warehouse(), events.clone());
        tokio::spawn(async move {
            for part in events.chunks(10 + worker) {
                while warehouse.load(part).await.is_err() {}
            }
        })
    });
    for load in loads.collect::<Vec<_>>() {
        load.await.unwrap();
    }
    rig.warehouse().load(&[]).await.unwrap();
    rig.assert_each_once();
}

#[tokio::test]
async fn an_event_that_is_not_ours_holds_nothing_up() {
    let rig = Rig::new();
    let mut events = rig.events(2);
    events[0].body = b"not json".to_vec().into();
    rig.warehouse().load(&events).await.unwrap();
    rig.assert_each_once();
    assert_eq!(texts(&rig.rows()[0], "object_id")[0], "<null>");
    assert_eq!(texts(&rig.rows()[0], "payload")[0], "not json");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_processes_that_start_at_once_on_a_new_directory_all_see_one_id() {
    for _ in 0..20 {
        let rig = Rig::new();
        let processes = (0..16).map(|_| rig.directory()).map(|directory| tokio::spawn(async move { directory.id().await.unwrap() }));
        let mut ids = BTreeSet::new();
        for process in processes.collect::<Vec<_>>() {
            ids.insert(process.await.unwrap());
        }
        assert_eq!(ids.len(), 1, "{ids:?}");
        fs::write(rig.root.join("_id"), "damaged").unwrap();
        let id = rig.directory().id().await.unwrap();
        assert!(id.len() == 36 && !ids.contains(&id), "{id}");
        assert_eq!(rig.directory().id().await.unwrap(), id, "it stays");
    }
}

#[test]
fn only_directories_of_this_machine_are_taken() {
    for url in ["s3://bucket/x", "postgres://localhost/x", "/var/lib/x", "file://elsewhere/x", ""] {
        assert!(Directory::open(url).is_err(), "{url}");
    }
    let directory = Directory::open("file:///var/lib/billwire%20dwh").unwrap();
    assert_eq!(directory.path(1_234_567).unwrap(), PathBuf::from("/var/lib/billwire dwh/events/001234/000001234567.parquet"));
    assert!(directory.path(-1).is_err());
}

#[tokio::test]
async fn the_files_say_which_batches_there_are_and_what_they_hold() {
    let rig = Rig::new();
    let directory = rig.directory();
    assert_eq!(directory.batches_after(0).await.unwrap(), Vec::<i64>::new(), "there is no folder yet");
    let (first, second) = (rig.events(3), rig.events(2));
    rig.warehouse().load(&first).await.unwrap();
    rig.warehouse().load(&second).await.unwrap();
    assert_eq!(directory.batches_after(0).await.unwrap(), [1, 2]);
    assert_eq!(directory.batches_after(1).await.unwrap(), [2]);
    assert_eq!(directory.batches_after(2).await.unwrap(), Vec::<i64>::new());
    for (batch, events) in [(1, first), (2, second)] {
        let held: Vec<_> =
            directory.events_of(batch).await.unwrap().into_iter().map(|one| (one.id, one.tenant, one.key, one.sequence)).collect();
        let loaded = events.into_iter().map(|one| (one.id, one.tenant, one.key, one.sequence));
        assert_eq!(held, loaded.collect::<Vec<_>>());
    }
    assert!(directory.events_of(3).await.is_err());
}

#[tokio::test]
async fn many_events_are_parsed_beside_the_runtime() {
    let rig = Rig::new();
    let (events, warehouse) = (rig.events(20_000), rig.warehouse());
    let begun = Instant::now();
    let (mut last, mut longest) = (Instant::now(), Duration::ZERO);
    let mut tick = tokio::time::interval(Duration::from_millis(1));
    let load = warehouse.load(&events);
    tokio::pin!(load);
    loop {
        tokio::select! {
            done = &mut load => break done.expect("loaded"),
            _ = tick.tick() => {
                longest = longest.max(last.elapsed());
                last = Instant::now();
            }
        }
    }
    let (longest, took) = (longest.max(last.elapsed()), begun.elapsed());
    assert!(longest < took / 2, "the only thread was busy for {longest:?} of {took:?}");
    rig.assert_each_once();
}
