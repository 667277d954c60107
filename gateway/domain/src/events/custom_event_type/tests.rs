use billwire_schemas::ids::fresh;
use serde_json::json;

use super::*;

fn command(schema: Value) -> Register {
    let (id, name, title) = (EventTypeId(fresh()), "sim_swapped".to_owned(), "SIM Swapped".to_owned());
    Register { id, version: 1, name, title, description: None, ordering_key: None, schema }
}

fn schema() -> Value {
    json!({ "type": "object", "required": ["iccid"], "additionalProperties": false, "properties": { "iccid": { "type": "string" } } })
}

fn first(schema: Value) -> CustomEventType {
    register(command(schema), None, 0, vec![], Timestamp::UNIX_EPOCH).expect("registered").after
}

fn next(command: Register) -> Result<Change<CustomEventType>, Rejected> {
    register(command, Some(first(schema())), 1, vec![], Timestamp::UNIX_EPOCH)
}

#[test]
fn a_type_starts_at_version_1_and_a_wider_schema_makes_the_next() {
    let old = first(schema());
    assert_eq!((old.name.as_str(), old.version), ("custom.sim_swapped", 1));
    assert_eq!(old.schema_path(), "/schemas/custom.sim_swapped/v1.json");
    let mut wider = schema();
    wider["properties"]["reason"] = json!({ "type": "string" });
    let change = register(command(wider), Some(old.clone()), 1, vec![], Timestamp::UNIX_EPOCH).expect("accepted");
    assert_eq!((change.after.version, change.after.id), (2, old.id));
    assert_eq!(change.before, Some(old));
}

#[test]
fn registering_the_same_again_is_refused() {
    assert_eq!(next(command(schema())).unwrap_err().code.as_str(), "event_type_unchanged");
}

#[test]
fn an_incompatible_schema_is_refused_with_every_reason() {
    let mut narrower = schema();
    narrower["required"] = json!(["iccid", "reason"]);
    narrower["properties"]["iccid"] = json!({ "type": "string", "maxLength": 20 });
    let refused = next(command(narrower)).unwrap_err();
    assert_eq!((refused.code.status(), refused.code.as_str()), (422, "schema_incompatible"));
    assert_eq!(refused.violations.iter().map(|v| v.code.as_str()).collect::<Vec<_>>(), ["member_required", "bound_narrowed"]);
}

#[test]
fn a_parameter_that_templates_may_name_stays() {
    let mut open = schema();
    open["properties"]["iccid"] = json!({});
    let refused = next(command(open)).unwrap_err();
    assert_eq!(
        (refused.violations[0].code.as_str(), refused.violations[0].pointer.as_ref()),
        ("parameter_lost", "/schema/properties/iccid")
    );
}

#[test]
fn what_events_keep_order_within_stays() {
    let refused = next(Register { ordering_key: Some(OrderedBy::Key), ..command(schema()) }).unwrap_err();
    assert_eq!(refused.code.as_str(), "ordering_key_changed");
}

#[test]
fn faults_of_ours_and_of_the_compiler_are_named_together() {
    let broken = json!({ "type": "object", "requried": [] });
    let compiler = vec![Violation::new("/schema/type", Code::SchemaInvalid, "no")];
    let refused = register(command(broken), None, 0, compiler, Timestamp::UNIX_EPOCH).unwrap_err();
    assert_eq!(refused.violations.iter().map(|v| v.code.as_str()).collect::<Vec<_>>(), ["schema_keyword_unknown", "schema_invalid"]);
    assert_eq!(
        register(command(schema()), None, TYPES_MAX, vec![], Timestamp::UNIX_EPOCH).unwrap_err().code.as_str(),
        "too_many_event_types"
    );
}

fn submit(account: Option<&str>, key: Option<&str>) -> Submit {
    let data = json!({ "iccid": "1", "count": 2, "final": true, "none": null, "list": [1], "no-name": "x" });
    let (account, key) = (account.map(str::to_owned), key.map(str::to_owned));
    Submit { id: CustomEventId(fresh()), kind: "custom.sim_swapped".into(), account, key, subject: None, data }
}

#[test]
fn each_fault_of_a_submitted_event_has_its_code() {
    let either = first(schema());
    let by = |ordering_key| CustomEventType { ordering_key: Some(ordering_key), ..either.clone() };
    let codes = |submit: Submit, kind: Option<&CustomEventType>| -> Vec<&'static str> {
        submit.faults(kind, ["custom.sim_swapped"].into_iter()).iter().map(|fault| fault.code.as_str()).collect()
    };
    assert_eq!(codes(submit(Some("a"), None), Some(&either)), Vec::<&str>::new());
    assert_eq!(codes(submit(None, Some("k")), Some(&either)), Vec::<&str>::new());
    assert_eq!(codes(submit(None, None), Some(&either)), ["ordering_key_required"]);
    assert_eq!(codes(submit(Some("a"), Some("k")), Some(&either)), ["ordering_key_ambiguous"]);
    assert_eq!(codes(submit(None, Some("k")), Some(&by(OrderedBy::Account))), ["ordering_key_required"]);
    assert_eq!(codes(submit(Some("a"), None), Some(&by(OrderedBy::Key))), ["ordering_key_required"]);
    assert_eq!(codes(submit(None, Some("a.b")), Some(&either)), ["key_invalid"]);
    assert_eq!(codes(submit(None, Some("configuration")), Some(&either)), ["key_invalid"]);
    assert_eq!(codes(submit(None, None), None), ["event_type_unknown", "ordering_key_required"], "every fault is named");
    let built_in = Submit { kind: "account.created".into(), ..submit(Some("a"), None) };
    assert_eq!(codes(built_in, None), ["event_type_not_custom"]);
}

#[test]
fn scalar_members_of_the_data_are_parameters() {
    let event = submit(None, Some("k")).accept(None, Timestamp::UNIX_EPOCH).expect("accepted");
    assert_eq!(event.parameters().into_keys().collect::<Vec<_>>(), ["data.count", "data.final", "data.iccid"]);
    assert_eq!(event.ordering_key().as_str(), "k");
    assert_eq!(event.subject(), event.id().to_string());
    let account = AccountId(fresh());
    let event = submit(Some("a"), None).accept(Some(account), Timestamp::UNIX_EPOCH).expect("accepted");
    assert_eq!((event.ordering_key(), event.account()), (account.into(), Some(account)));
}
