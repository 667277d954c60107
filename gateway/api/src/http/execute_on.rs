//! Changing the object that a path names.

use billwire_app::{AccountObject, Failure, Object, Reply, UseCase};
use billwire_schemas::ids::{AccountId, fresh};
use uuid::Uuid;

use crate::{http::request_context::Context, types::scalars::Reference};

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
        match context.app().execute(context.request(canonical), use_case(id)).await {
            Err(Failure::Rejected(refusal)) if refusal.code == T::NOT_FOUND => {}
            done => return done,
        }
    }
    let object: T = context.app().get(context.tenant(), reference).await?;
    context.app().execute(context.request(canonical), use_case(object.id())).await
}

/// Demands what `use_case` makes of the object of noun `T`, which belongs to an account, that `reference` names.
///
/// The account is looked up first, since it is what the use case locks. When there is no such object, the use case still runs if
/// the demand has an idempotency key: it may repeat the deletion of just this object, which then gets the first answer.
///
/// # Errors
/// The noun's refusal when there is none, the use case's own, or the database's failure.
pub(crate) async fn on_owned<T: Object, U: UseCase>(
    context: &Context,
    reference: &str,
    canonical: Option<&str>,
    use_case: impl Fn(AccountObject) -> U,
) -> Result<Reply, Failure> {
    let request = context.request(canonical);
    let if_match = context.if_match();
    match context.app().get::<T>(context.tenant(), reference).await {
        Ok(object) => {
            let account = object.account().unwrap_or(AccountId(object.id()));
            context.app().execute(request, use_case(AccountObject { account, id: object.id(), if_match })).await
        }
        Err(missing) if request.claim.is_some() => {
            let nobody = fresh();
            match context.app().execute(request, use_case(AccountObject { account: AccountId(nobody), id: nobody, if_match })).await {
                Err(Failure::Rejected(refusal)) if refusal.code == T::NOT_FOUND => Err(missing),
                done => done,
            }
        }
        Err(missing) => Err(missing),
    }
}

/// The id of the object a list is narrowed to, if it is; for one that does not exist an id that nothing has.
///
/// # Errors
/// The database's failure.
pub(crate) async fn filtered<T: Object>(context: &Context, reference: Option<&Reference>) -> Result<Option<Uuid>, Failure> {
    let Some(reference) = reference else { return Ok(None) };
    match context.app().get::<T>(context.tenant(), &reference.0).await {
        Ok(object) => Ok(Some(object.id())),
        Err(Failure::Rejected(refusal)) if refusal.code == T::NOT_FOUND => Ok(Some(Uuid::nil())),
        Err(failure) => Err(failure),
    }
}
