//! The delivery store shared by all slots of a process: what several slots ask or record at the same time is one query or one commit. A
//! question waits for nothing while none is under way; records gather for a moment, since only the acknowledgement of a message waits for
//! them, and a commit costs the same for one delivery as for fifty.

use std::{sync::Arc, time::Duration};

use billwire_schemas::{
    delivery::{Delivery, LaneKey},
    ids::DeliveryId,
};
use tokio::{
    sync::{mpsc, oneshot},
    time::sleep,
};

use crate::{
    partition::writes::{Write, Written},
    store::{DeliveryStore, InStore},
};

/// Requests that wait; there are at most two of each slot.
const WAITING_MAX: usize = 64;
/// Deliveries recorded by one commit, unless one slot has more.
const RECORD_MAX: usize = 1024;
/// With this many deliveries a commit starts at once.
const RECORD_SOON: usize = 512;
/// How long records gather otherwise.
const GATHER: Duration = Duration::from_millis(25);
/// How often the gathered records are counted.
const GATHER_STEP: Duration = Duration::from_millis(5);

/// A question for what is stored of these deliveries and lanes.
struct Question {
    ids: Vec<DeliveryId>,
    lanes: Vec<LaneKey>,
    answer: oneshot::Sender<Result<InStore, String>>,
}

/// Deliveries to record.
struct Record {
    writes: Vec<Write>,
    /// Not to gather: the process stops.
    now: bool,
    answer: oneshot::Sender<Written>,
}

/// The delivery store as the slots of a process share it.
#[derive(Debug, Clone)]
pub struct SharedStore {
    questions: mpsc::Sender<Question>,
    records: mpsc::Sender<Record>,
}

impl SharedStore {
    /// Over `delivery_store`. Its tasks end when the last clone is dropped.
    pub fn new(delivery_store: Arc<dyn DeliveryStore>) -> Self {
        let (questions, asked) = mpsc::channel(WAITING_MAX);
        let (records, to_record) = mpsc::channel(WAITING_MAX);
        tokio::spawn(answer(delivery_store.clone(), asked));
        tokio::spawn(record(delivery_store, to_record));
        Self { questions, records }
    }

    /// What is stored of these deliveries and lanes, all read after this call began.
    pub(crate) async fn in_store(&self, ids: Vec<DeliveryId>, lanes: Vec<LaneKey>) -> Result<InStore, String> {
        let (answer, answered) = oneshot::channel();
        let question = Question { ids, lanes, answer };
        self.questions.send(question).await.map_err(|_| ENDED.to_owned())?;
        answered.await.unwrap_or_else(|_| Err(ENDED.to_owned()))
    }

    /// Records deliveries. After an error nothing of them was recorded.
    pub(crate) async fn record(&self, writes: Vec<Write>, now: bool) -> Written {
        let (answer, answered) = oneshot::channel();
        if let Err(unsent) = self.records.send(Record { writes, now, answer }).await {
            return (unsent.0.writes, Err(ENDED.to_owned()));
        }
        // Without an answer the writes are lost.
        answered.await.unwrap_or_else(|_| (Vec::new(), Err(ENDED.to_owned())))
    }
}

const ENDED: &str = "the task of the shared delivery store ended";

async fn answer(store: Arc<dyn DeliveryStore>, mut asked: mpsc::Receiver<Question>) {
    let mut questions = Vec::new();
    while asked.recv_many(&mut questions, WAITING_MAX).await > 0 {
        let ids: Vec<DeliveryId> = questions.iter().flat_map(|one| one.ids.iter().copied()).collect();
        let lanes: Vec<LaneKey> = questions.iter().flat_map(|one| one.lanes.iter().cloned()).collect();
        let found = store.in_store(&ids, &lanes).await;
        for Question { ids, lanes, answer } in questions.drain(..) {
            let own = found.as_ref().map_err(Clone::clone).map(|found| InStore {
                revision: found.revision,
                known: ids.into_iter().filter(|id| found.known.contains(id)).collect(),
                waiting: lanes.into_iter().filter(|lane| found.waiting.contains(lane)).collect(),
            });
            // A slot that stopped meanwhile needs no answer.
            let _ = answer.send(own);
        }
    }
}

async fn record(store: Arc<dyn DeliveryStore>, mut to_record: mpsc::Receiver<Record>) {
    let mut left: Option<Record> = None;
    loop {
        let Some(first) = (match left.take() {
            Some(record) => Some(record),
            None => to_record.recv().await,
        }) else {
            return;
        };
        let mut records = vec![first];
        let mut waited = Duration::ZERO;
        loop {
            while let Ok(record) = to_record.try_recv() {
                let count: usize = records.iter().map(|one| one.writes.len()).sum();
                if count + record.writes.len() > RECORD_MAX {
                    left = Some(record);
                    break;
                }
                records.push(record);
            }
            let count: usize = records.iter().map(|one| one.writes.len()).sum();
            if left.is_some() || count >= RECORD_SOON || waited >= GATHER || records.iter().any(|one| one.now) {
                break;
            }
            sleep(GATHER_STEP).await;
            waited += GATHER_STEP;
        }
        let result = record_all(&*store, &records).await;
        let alone = result.is_err() && records.len() > 1;
        for one in records {
            // One slot's deliveries must not fail those of the others.
            let result = if alone { record_all(&*store, std::slice::from_ref(&one)).await } else { result.clone() };
            let _ = one.answer.send((one.writes, result));
        }
    }
}

async fn record_all(store: &dyn DeliveryStore, records: &[Record]) -> Result<(), String> {
    let writes = || records.iter().flat_map(|one| &one.writes);
    let new: Vec<&Delivery> = writes().filter(|write| write.message.is_some()).map(|write| &write.delivery).collect();
    let known: Vec<&Delivery> = writes().filter(|write| write.message.is_none()).map(|write| &write.delivery).collect();
    store.record(&new, &known).await
}
