//! Rows as one array per column, for PostgreSQL: a statement then has one text, and is prepared once, whatever the number of rows.

use sea_orm::{ActiveModelTrait, ColumnTrait, EntityName, EntityTrait, IdenStatic, Iterable, Value, sea_query::ArrayType};

use crate::Error;

/// Rows of one statement at most: their values are copied to build its message.
pub(crate) const ROWS_MAX: usize = 1024;

/// `INSERT INTO … SELECT … FROM UNNEST(…)` of these rows, whose arrays are added to `values`. The same columns must be set in all rows. A caller may
/// continue the text with `ORDER BY n`, the number of the row, or with `ON CONFLICT`.
///
/// # Errors
/// When a column has a type that this does not know.
pub(crate) fn insert<A: ActiveModelTrait>(mut rows: Vec<A>, values: &mut Vec<Value>) -> Result<String, Error> {
    let (mut columns, mut selected, mut arrays, mut names) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut add = |name: String, (kind, cast): (ArrayType, &str), column: Vec<Value>| {
        values.push(Value::Array(kind, Some(Box::new(column))));
        arrays.push(format!("${}::{cast}[]", values.len()));
        names.push(name);
    };
    for column in <A::Entity as EntityTrait>::Column::iter() {
        let stored: Vec<Value> = rows.iter_mut().filter_map(|row| row.take(column).into_value()).collect();
        let Some(first) = stored.first() else { continue };
        let kind = element(first)?;
        let name = format!("\"{}\"", column.as_str());
        if column.def().is_null() {
            // An array of Rust values has no place for NULL, so there it gets any value, and an array beside it tells where.
            let null = format!("\"{}_null\"", column.as_str());
            let nulls = stored.iter().map(|value| Value::from(is_null(value))).collect();
            let filled = stored.into_iter().map(|value| if is_null(&value) { value.dummy_value() } else { value }).collect();
            selected.push(format!("CASE WHEN {null} THEN NULL ELSE {name} END"));
            add(null, (ArrayType::Bool, "boolean"), nulls);
            add(name.clone(), kind, filled);
        } else {
            selected.push(name.clone());
            add(name.clone(), kind, stored);
        }
        columns.push(name);
    }
    Ok(format!(
        "INSERT INTO \"{}\" ({}) SELECT {} FROM UNNEST({}) WITH ORDINALITY AS r({}, n)",
        A::Entity::default().table_name(),
        columns.join(", "),
        selected.join(", "),
        arrays.join(", "),
        names.join(", ")
    ))
}

fn is_null(value: &Value) -> bool {
    *value == value.as_null()
}

/// The type of an array of values like this one, and its name in SQL.
fn element(value: &Value) -> Result<(ArrayType, &'static str), Error> {
    let kind = value.array_type();
    let name = match kind {
        ArrayType::Bool => "boolean",
        ArrayType::Int => "integer",
        ArrayType::BigInt => "bigint",
        ArrayType::String => "text",
        ArrayType::Uuid => "uuid",
        other => return Err(Error::Other(format!("no array of {other:?} is known"))),
    };
    Ok((kind, name))
}

#[cfg(test)]
mod tests {
    use billwire_schemas::ids::fresh;
    use sea_orm::IntoActiveModel;

    use super::*;
    use crate::entity::{business_transaction, event};

    #[test]
    fn rows_become_one_array_per_column_and_nulls_one_beside_it() {
        let row = |object_id: Option<&str>| {
            let (tenant, operation, body) = ("t".to_owned(), "o".to_owned(), "{}".to_owned());
            let object_id = object_id.map(str::to_owned);
            business_transaction::Model { id: fresh(), tenant, operation, account_id: None, occurred_at: 1, object_id, body }
                .into_active_model()
        };
        let mut values = vec![Value::from(7)];
        let text = insert(vec![row(Some("a")), row(None)], &mut values).expect("known types");
        assert!(text.starts_with("INSERT INTO \"business_transaction\" (\"id\", \"tenant\","), "{text}");
        assert!(text.contains("CASE WHEN \"object_id_null\" THEN NULL ELSE \"object_id\" END"), "{text}");
        assert!(text.contains("UNNEST($2::uuid[], "), "{text}");
        assert_eq!(values.len(), 1 + 7 + 2, "a column each, and one more for each that may be NULL");
        let texts = |of: &[&str]| Value::Array(ArrayType::String, Some(Box::new(of.iter().map(|one| Value::from(*one)).collect())));
        assert!(values.contains(&texts(&["a", ""])), "{values:?}");
        let nulls = Value::Array(ArrayType::Bool, Some(Box::new(vec![Value::from(false), Value::from(true)])));
        assert!(values.contains(&nulls), "{values:?}");
    }

    #[test]
    fn a_column_that_is_not_set_is_left_to_the_database() {
        let row = event::ActiveModel { body: sea_orm::ActiveValue::Set("{}".to_owned()), ..Default::default() };
        let text = insert(vec![row], &mut Vec::new()).expect("known types");
        assert_eq!(text, "INSERT INTO \"event\" (\"body\") SELECT \"body\" FROM UNNEST($1::text[]) WITH ORDINALITY AS r(\"body\", n)");
    }
}
