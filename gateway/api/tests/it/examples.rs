//! Plays the document's examples in a sensible order, with ids taken from earlier responses.

use std::collections::{BTreeMap, BTreeSet};

use billwire_api::openapi;
use serde_json::Value;

use crate::{document::operations, rig::Rig};

/// The calls, in order. The document's example ids stand for objects that earlier calls created.
const ORDER: &[&str] = &[
    "setTestClock",
    "createApiKey",
    "getApiKey",
    "listApiKeys",
    "rotateApiKey",
    "revokeApiKey",
    "deleteApiKey",
    "listAuditEntries",
    "createRole",
    "getRole",
    "listRoles",
    "listPredefinedRoles",
    "updateRole",
    "deleteRole",
    "createIdentityProvider",
    "getIdentityProvider",
    "listIdentityProviders",
    "updateIdentityProvider",
    "deleteIdentityProvider",
    "createTenant",
    "getTenant",
    "listTenants",
    "updateTenant",
    "suspendTenant",
    "resumeTenant",
    // Only a suspended one is deleted.
    "suspendTenant",
    "deleteTenant",
    "getTenantDeletion",
    "createBillCycle",
    "getBillCycle",
    "listBillCycles",
    "getBusinessTransaction",
    "listBusinessTransactions",
    "getEvent",
    "listEvents",
    "tailEvents",
    "createDataSource",
    "getDataSource",
    "listDataSources",
    "registerEventType",
    "submitEvents",
    "updateBillCycle",
    "deleteBillCycle",
    "createBillCycle",
    "updateBillingSettings",
    "getBillingSettings",
    "updateRetentionSettings",
    "getRetentionSettings",
    "updateStreamSettings",
    "getStreamSettings",
    "createAccount",
    "getAccount",
    "listAccounts",
    "createContact",
    "getContact",
    "listContacts",
    "updateContact",
    "deleteContact",
    "createContact",
    "updateAccount",
    "createPackage",
    "getPackage",
    "listPackages",
    "updatePackage",
    "deletePackage",
    "createPackage",
    "subscribePackage",
    "getPackageSubscription",
    "listPackageSubscriptions",
    "updatePackageSubscription",
    "changePackageSubscriptionStatus",
    "cancelPackageSubscriptionStatusChange",
    "performPackageSubscriptionStatusChange",
    "createService",
    "getService",
    "listServices",
    "updateService",
    "deleteService",
    "createService",
    "transitionService",
    "cancelServiceStatusChange",
    "performServiceStatusChange",
    "createUsageIdentifier",
    "getUsageIdentifier",
    "listUsageIdentifiers",
    "updateUsageIdentifier",
    "createBucket",
    "getBucket",
    "listBuckets",
    "updateBucket",
    "resetBucket",
    "createContract",
    "getContract",
    "listContracts",
    "updateContract",
    "recordChargeableEvents",
    "searchChargeableEvents",
    "getChargeableEvent",
    "adjustChargeableEvent",
    "reverseChargeableEvent",
    "listAdjustments",
    "getAdjustment",
    "recordPayment",
    "getPayment",
    "listPayments",
    "createRefund",
    "getRefund",
    "listRefunds",
    "createCredit",
    "getAccountBalance",
    "getCredit",
    "listCredits",
    "reverseCredit",
    "startBillRun",
    "getBillRun",
    "listBillRuns",
    "previewInvoice",
    "deleteBucket",
    "deleteUsageIdentifier",
    "deleteContract",
    "cancelPackageSubscription",
    "updateAccountBillCycle",
    "cancelAccountBillCycleChange",
    "updateAccountBillCycle",
    "performAccountBillCycleChange",
    "updateAccountPayer",
    "removeAccountPayer",
    "changeAccountStatus",
    "cancelAccountStatusChange",
    "performAccountStatusChange",
    "deleteAccount",
    "cancelAccount",
    "createInvoiceOnDemand",
    "listInvoices",
    "getInvoice",
    "getInvoiceLines",
    "updateInvoice",
    "deliverInvoice",
    "deallocatePayment",
    "allocatePayment",
    "deallocatePayment",
    "cancelPayment",
    "cancelInvoice",
    "createQueue",
    "getQueue",
    "listQueues",
    "updateQueue",
    "pauseQueue",
    "resumeQueue",
    "getQueueStatistics",
    "createStreamSubscription",
    "getStreamSubscription",
    "listStreamSubscriptions",
    "resetStreamSubscription",
    "deleteStreamSubscription",
    "createWebhookEndpoint",
    "getWebhookEndpoint",
    "listWebhookEndpoints",
    "updateWebhookEndpoint",
    "disableWebhookEndpoint",
    "enableWebhookEndpoint",
    "rotateWebhookSecret",
    "getWebhookEndpointHealth",
    "testWebhookEndpoint",
    "createSmtpAccount",
    "getSmtpAccount",
    "listSmtpAccounts",
    "updateSmtpAccount",
    "verifySmtpAccount",
    "sendTestEmail",
    "createSystemUser",
    "getSystemUser",
    "listSystemUsers",
    "updateSystemUser",
    "deleteSystemUser",
    "suppressAddress",
    "getSuppressedAddress",
    "listSuppressedAddresses",
    "deleteSuppressedAddress",
    "createNotificationTemplate",
    "getNotificationTemplate",
    "listNotificationTemplates",
    "listPredefinedTemplates",
    "listNotificationTemplateVersions",
    "updateNotificationTemplate",
    "previewNotificationTemplate",
    "createSubscription",
    "getSubscription",
    "listSubscriptions",
    "updateSubscription",
    "disableSubscription",
    "enableSubscription",
    "listDeliveries",
    "replayEvents",
    "listReplays",
    "listDeadLetters",
    "redriveDeadLetters",
    "discardDeadLetters",
    "listSetAsideEvents",
    "redriveSetAsideEvents",
    "explainEvent",
    "listEventTypes",
    "getEventType",
    "getEventSchema",
    "deleteSubscription",
];

const REST: &[&str] = &[
    "deleteEventType",
    "deleteDataSource",
    "deleteQueue",
    "deleteWebhookEndpoint",
    "deleteSmtpAccount",
    "deleteNotificationTemplate",
    "getDelivery",
    "retryDelivery",
    "getReplay",
    "cancelReplay",
];

#[tokio::test]
async fn every_example_works_as_it_stands() {
    play(&Rig::new().await, async |_| {}).await;
}

/// A call of an example, with ids that exist.
pub(crate) struct Example<'a> {
    pub id: &'a str,
    pub method: &'a str,
    pub path: String,
    pub body: Option<Value>,
    /// The ids that exist.
    pub ids: Vec<String>,
    /// The paths of objects by their names, each with the object's id.
    pub named: Vec<(String, String)>,
}

/// Plays every example; `before` sees each before it is called.
pub(crate) async fn play(rig: &Rig, before: impl AsyncFn(&Example<'_>)) {
    let document = openapi();
    let all: BTreeMap<String, _> =
        operations(&document).into_iter().map(|(id, method, path, operation)| (id, (method, path, operation))).collect();
    let played: BTreeSet<&str> = ORDER.iter().chain(REST).copied().collect();
    assert_eq!(played, all.keys().map(String::as_str).collect(), "every operation is played");

    let mut stands_for: Vec<(String, String)> = Vec::new();
    let mut named: Vec<(String, String)> = Vec::new();
    for id in ORDER.iter().chain(REST) {
        let (method, template, operation) = &all[*id];
        let real = |text: String| stands_for.iter().fold(text, |text, (example, id)| text.replace(example, id));
        let mut path = template.clone();
        for parameter in operation["parameters"].as_array().into_iter().flatten().filter(|parameter| parameter["in"] == "path") {
            let (name, example) = (parameter["name"].as_str().expect("a name"), parameter["example"].as_str().expect("an example"));
            path = path.replace(&format!("{{{name}}}"), &example.replace(' ', "%20"));
        }
        let body: Option<Value> = operation
            .pointer("/requestBody/content/application~1json/example")
            .map(|example| serde_json::from_str(&real(example.to_string())).expect("JSON"));
        let ids = stands_for.iter().map(|(_, made)| made.clone()).collect();
        let example = Example { id, method, path: real(path), body, ids, named: named.clone() };
        before(&example).await;
        let answer = rig.call(method, &example.path, &[], example.body.as_ref()).await;
        if *id == "deleteAccount" {
            answer.refused(409, "account_not_inactive");
            continue;
        }
        if id.ends_with("StatusChange") {
            answer.refused(409, "no_status_change_in_progress");
            continue;
        }
        if *id == "updateAccountPayer" {
            answer.refused(422, "account_unknown");
            continue;
        }
        if *id == "cancelPayment" {
            answer.refused(409, "payment_refunded");
            continue;
        }
        if *id == "deleteContract" {
            answer.refused(409, "contract_started");
            continue;
        }
        if ["testWebhookEndpoint", "verifySmtpAccount", "sendTestEmail", "tailEvents"].contains(id) {
            answer.refused(503, "unavailable");
            continue;
        }
        if ["getReplay", "cancelReplay"].contains(id) {
            answer.refused(404, "replay_not_found");
            continue;
        }
        if ["getDelivery", "retryDelivery"].contains(id) {
            answer.refused(404, "delivery_not_found");
            continue;
        }
        let status =
            operation["responses"].as_object().expect("responses").keys().find(|status| status.starts_with('2')).expect("a success");
        assert_eq!(answer.status.to_string(), *status, "{id}: {}", answer.text);
        let content = operation["responses"][status]["content"].as_object().and_then(|media| media.values().next()).expect("content");
        let example = &content["example"];
        if example["entities"][0]["action"] == "created" && *id != "getBusinessTransaction" {
            let made = answer.json()["entities"][0]["id"].as_str().expect("an id").to_owned();
            let after = &answer.json()["entities"][0]["after"];
            if let Some(name) = ["tenantId", "address", "name"].iter().find_map(|member| after[member].as_str()) {
                named.push((format!("{template}/{}", name.replace(' ', "%20")), made.clone()));
            }
            stands_for.push((example["entities"][0]["id"].as_str().expect("an id").to_owned(), made));
            if *id == "createBillCycle" {
                for (shown, made) in
                    [(&example["id"], &answer.json()["id"]), (&example["events"][0]["id"], &answer.json()["events"][0]["id"])]
                {
                    stands_for.push((shown.as_str().expect("an id").to_owned(), made.as_str().expect("an id").to_owned()));
                }
            }
        }
        same_members(id, "", example, &answer.json());
    }
}

/// Checks that the response has every member of the example; entity states are not compared.
fn same_members(id: &str, place: &str, example: &Value, answered: &Value) {
    for (name, value) in example.as_object().into_iter().flatten() {
        assert!(answered.get(name).is_some() || id.starts_with("list"), "{id}: {place}/{name} is not answered");
        if name != "before" && name != "after" {
            same_members(id, &format!("{place}/{name}"), value, &answered[name]);
        }
    }
}
