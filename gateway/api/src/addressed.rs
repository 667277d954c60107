//! Changing the object that a path names.

use billwire_app::{Failure, Object, Reply, UseCase};
use uuid::Uuid;

use crate::context::Context;

/// Demands what `use_case` makes of the object of noun `T` that `reference` names.
///
/// A reference that reads as an id is taken for one without asking the database first: the use case loads the object anyway,
/// under its lock. Only if there is none the reference is looked up, since an external id may look like an id, too.
///
/// # Errors
/// The noun's refusal when there is none, the use case's own, or the database's failure.
pub(crate) async fn on<T: Object, U: UseCase>(
    context: &Context,
    reference: &str,
    canonical: Option<&str>,
    use_case: impl Fn(Uuid) -> U,
) -> Result<Reply, Failure> {
    if let Ok(id) = reference.parse() {
        match context.app().once(context.demand(canonical), use_case(id)).await {
            Err(Failure::Rejected(refusal)) if refusal.code == T::NOT_FOUND => {}
            done => return done,
        }
    }
    let object: T = context.app().get(context.tenant(), reference).await?;
    context.app().once(context.demand(canonical), use_case(object.id())).await
}
