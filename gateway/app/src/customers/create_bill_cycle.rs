//! `createBillCycle`.

use async_trait::async_trait;
use billwire_domain::customers::bill_cycle::{self, BillCycle};
use billwire_schemas::{clock::Timestamp, ids::OrderingKey};
use billwire_store::{Tx, commit::Failure};

use crate::{customers::billing_settings::settings, execute::UseCase, record::Record};

/// Creates a bill cycle.
#[derive(Debug, Clone)]
pub struct CreateBillCycle(pub bill_cycle::Create);

#[async_trait]
impl UseCase for CreateBillCycle {
    const OPERATION: &'static str = "createBillCycle";
    const STATUS: u16 = 201;

    fn key(&self) -> OrderingKey {
        self.0.id.0.into()
    }
    async fn run(&self, tx: &mut Tx<'_>, now: Timestamp) -> Result<Option<Record>, Failure> {
        tx.ensure_external_id_free::<BillCycle>(self.0.external_id.as_deref()).await?;
        let mut change = bill_cycle::create(self.0.clone(), now)?;
        change.after = change.after.planned(&settings(tx).await?, now);
        tx.save(&change)?;
        Record::of(&change).map(Some)
    }
}
