BEGIN TRANSACTION;
CREATE TABLE account (id BLOB PRIMARY KEY, tenant TEXT NOT NULL, version BIGINT NOT NULL, external_id TEXT, account_id BLOB,
             status TEXT, due_at BIGINT, created_at BIGINT NOT NULL, bill_cycle_id BLOB NOT NULL REFERENCES bill_cycle (id), planned_bill_cycle_id BLOB REFERENCES bill_cycle (id), body TEXT NOT NULL);
INSERT INTO "account" VALUES(X'01A221F28F8471DD9EC68C19AB6D0082','default',1,'CRM-1',X'01A221F28F8471DD9EC68C19AB6D0082','active',NULL,1795865874309037,X'01A221F28F0574A0AFBDA8142FFD171C',NULL,'{"id":"01a221f2-8f84-71dd-9ec6-8c19ab6d0082","version":1,"externalId":"CRM-1","name":"Acme","status":"active","currency":"EUR","billCycle":{"billCycleId":"01a221f2-8f05-74a0-afbd-a8142ffd171c","period":{"start":"2026-11-28","end":"2026-12-01"}},"createdAt":"2026-11-28T11:37:54.309037Z","updatedAt":"2026-11-28T11:37:54.309037Z"}');
CREATE TABLE adjustment (id BLOB PRIMARY KEY, tenant TEXT NOT NULL, version BIGINT NOT NULL, external_id TEXT, account_id BLOB,
             status TEXT, due_at BIGINT, created_at BIGINT NOT NULL, chargeable_event_id BLOB NOT NULL, invoice_id BLOB, body TEXT NOT NULL);
CREATE TABLE api_key (id TEXT PRIMARY KEY, tenant TEXT NOT NULL, name TEXT NOT NULL, hash TEXT NOT NULL, scopes TEXT NOT NULL,
        created_at BIGINT NOT NULL, revoked_at BIGINT);
INSERT INTO "api_key" VALUES('944650a7cd0f9e14','default','admin','944650a7cd0f9e14d5c4fb15edbffb7fa45fb9ed36a4fa9be3d7e5476ae51bd9','*',1795865874154400,NULL);
CREATE TABLE attempt (delivery_id BLOB NOT NULL, number INTEGER NOT NULL, at BIGINT NOT NULL, latency_us BIGINT NOT NULL,
        status INTEGER, detail TEXT NOT NULL, PRIMARY KEY (delivery_id, number));
CREATE TABLE bill_cycle (id BLOB PRIMARY KEY, tenant TEXT NOT NULL, version BIGINT NOT NULL, external_id TEXT, account_id BLOB,
             status TEXT, due_at BIGINT, created_at BIGINT NOT NULL, body TEXT NOT NULL);
INSERT INTO "bill_cycle" VALUES(X'01A221F28F0574A0AFBDA8142FFD171C','default',1,'MONTHLY-1',NULL,NULL,NULL,1795865874182030,'{"id":"01a221f2-8f05-74a0-afbd-a8142ffd171c","version":1,"externalId":"MONTHLY-1","name":"Monthly","period":"month","length":1,"individual":false,"billingDay":1,"createdAt":"2026-11-28T11:37:54.182030Z","updatedAt":"2026-11-28T11:37:54.182030Z"}');
CREATE TABLE bill_run (id BLOB PRIMARY KEY, tenant TEXT NOT NULL, version BIGINT NOT NULL, external_id TEXT, account_id BLOB,
             status TEXT, due_at BIGINT, created_at BIGINT NOT NULL, bill_cycle_id BLOB NOT NULL REFERENCES bill_cycle (id), body TEXT NOT NULL);
CREATE TABLE billed_account (run_id BLOB NOT NULL, account_id BLOB NOT NULL, outcome TEXT NOT NULL, invoice_id BLOB,
        total BIGINT NOT NULL, currency TEXT NOT NULL, PRIMARY KEY (run_id, account_id));
CREATE TABLE bucket (id BLOB PRIMARY KEY, tenant TEXT NOT NULL, version BIGINT NOT NULL, external_id TEXT, account_id BLOB,
             status TEXT, due_at BIGINT, created_at BIGINT NOT NULL, service_id BLOB NOT NULL, body TEXT NOT NULL);
CREATE TABLE business_transaction (id BLOB PRIMARY KEY, tenant TEXT NOT NULL, operation TEXT NOT NULL, account_id BLOB,
        occurred_at BIGINT NOT NULL, object_id TEXT, body TEXT NOT NULL);
INSERT INTO "business_transaction" VALUES(X'01A221F28F0676ABB9D2278874FCCDA5','default','createBillCycle',NULL,1795865874182030,NULL,'{"id":"01a221f2-8f06-76ab-b9d2-278874fccda5","operation":"createBillCycle","occurredAt":"2026-11-28T11:37:54.182030Z","actor":"admin","entities":[{"type":"billCycle","id":"01a221f2-8f05-74a0-afbd-a8142ffd171c","version":1,"action":"created","after":{"id":"01a221f2-8f05-74a0-afbd-a8142ffd171c","version":1,"externalId":"MONTHLY-1","name":"Monthly","period":"month","length":1,"individual":false,"billingDay":1,"createdAt":"2026-11-28T11:37:54.182030Z","updatedAt":"2026-11-28T11:37:54.182030Z"}}],"events":[{"id":"01a221f2-8f06-76ab-b9d2-2789ac957893","type":"bill_cycle.created"}]}');
INSERT INTO "business_transaction" VALUES(X'01A221F28F6072499C3D34C76F7188CA','default','createWebhookEndpoint',NULL,1795865874269626,'01a221f2-8f0b-7558-b5d7-b1f8f57e5257','{"id":"01a221f2-8f60-7249-9c3d-34c76f7188ca","operation":"createWebhookEndpoint","occurredAt":"2026-11-28T11:37:54.269626Z","actor":"admin","entities":[{"type":"webhookEndpoint","id":"01a221f2-8f0b-7558-b5d7-b1f8f57e5257","version":1,"action":"created","after":{"id":"01a221f2-8f0b-7558-b5d7-b1f8f57e5257","version":1,"name":"e","url":"https://hooks.receiver.example","enabled":true,"signing":[{"id":"01a221f2-8f55-7388-afbd-20132351173a","algorithm":"hmac","createdAt":"2026-11-28T11:37:54.270064Z"}],"auth":{"type":"bearer"},"createdAt":"2026-11-28T11:37:54.270064Z"}}],"events":[]}');
INSERT INTO "business_transaction" VALUES(X'01A221F28F71721FA19C4D524BADB8AF','default','createQueue',NULL,1795865874279767,'01a221f2-8f64-722b-af71-6d468e46482a','{"id":"01a221f2-8f71-721f-a19c-4d524badb8af","operation":"createQueue","occurredAt":"2026-11-28T11:37:54.279767Z","actor":"admin","entities":[{"type":"queue","id":"01a221f2-8f64-722b-af71-6d468e46482a","version":1,"action":"created","after":{"id":"01a221f2-8f64-722b-af71-6d468e46482a","version":1,"name":"q","mode":"in_order","eventTypes":["*"],"partitions":1,"paused":false,"createdAt":"2026-11-28T11:37:54.279767Z"}}],"events":[]}');
INSERT INTO "business_transaction" VALUES(X'01A221F28F7C77178BE1D6D4AD9D5FB6','default','createSubscription',NULL,1795865874298994,'01a221f2-8f77-73ea-9c40-9c0393a9ce69','{"id":"01a221f2-8f7c-7717-8be1-d6d4ad9d5fb6","operation":"createSubscription","occurredAt":"2026-11-28T11:37:54.298994Z","actor":"admin","entities":[{"type":"subscription","id":"01a221f2-8f77-73ea-9c40-9c0393a9ce69","version":1,"action":"created","after":{"id":"01a221f2-8f77-73ea-9c40-9c0393a9ce69","version":1,"name":"s","queueId":"01a221f2-8f64-722b-af71-6d468e46482a","eventTypes":[],"action":{"type":"webhook","webhookEndpointId":"01a221f2-8f0b-7558-b5d7-b1f8f57e5257"},"whenGivenUp":"skip","enabled":true,"createdAt":"2026-11-28T11:37:54.298994Z"}}],"events":[]}');
INSERT INTO "business_transaction" VALUES(X'01A221F28F80774CBD89D74292F9C351','default','pauseQueue',NULL,1795865874303813,'01a221f2-8f64-722b-af71-6d468e46482a','{"id":"01a221f2-8f80-774c-bd89-d74292f9c351","operation":"pauseQueue","occurredAt":"2026-11-28T11:37:54.303813Z","actor":"admin","entities":[{"type":"queue","id":"01a221f2-8f64-722b-af71-6d468e46482a","version":2,"action":"updated","before":{"id":"01a221f2-8f64-722b-af71-6d468e46482a","version":1,"name":"q","mode":"in_order","eventTypes":["*"],"partitions":1,"paused":false,"createdAt":"2026-11-28T11:37:54.279767Z"},"after":{"id":"01a221f2-8f64-722b-af71-6d468e46482a","version":2,"name":"q","mode":"in_order","eventTypes":["*"],"partitions":1,"paused":true,"createdAt":"2026-11-28T11:37:54.279767Z"}}],"events":[]}');
INSERT INTO "business_transaction" VALUES(X'01A221F28F85700E969717CCC16CB735','default','createAccount',X'01A221F28F8471DD9EC68C19AB6D0082',1795865874309037,NULL,'{"id":"01a221f2-8f85-700e-9697-17ccc16cb735","operation":"createAccount","occurredAt":"2026-11-28T11:37:54.309037Z","actor":"admin","account":"01a221f2-8f84-71dd-9ec6-8c19ab6d0082","entities":[{"type":"account","id":"01a221f2-8f84-71dd-9ec6-8c19ab6d0082","version":1,"action":"created","after":{"id":"01a221f2-8f84-71dd-9ec6-8c19ab6d0082","version":1,"externalId":"CRM-1","name":"Acme","status":"active","currency":"EUR","billCycle":{"billCycleId":"01a221f2-8f05-74a0-afbd-a8142ffd171c","period":{"start":"2026-11-28","end":"2026-12-01"}},"createdAt":"2026-11-28T11:37:54.309037Z","updatedAt":"2026-11-28T11:37:54.309037Z"}}],"events":[{"id":"01a221f2-8f85-700e-9697-17cdd026493f","type":"account.created"}]}');
INSERT INTO "business_transaction" VALUES(X'01A221F28F8D75A28AE24F7ABCF5A3C9','default','createContact',X'01A221F28F8471DD9EC68C19AB6D0082',1795865874317011,NULL,'{"id":"01a221f2-8f8d-75a2-8ae2-4f7abcf5a3c9","operation":"createContact","occurredAt":"2026-11-28T11:37:54.317011Z","actor":"admin","account":"01a221f2-8f84-71dd-9ec6-8c19ab6d0082","entities":[{"type":"contact","id":"01a221f2-8f8c-7279-98a1-8d43226b2ae2","version":1,"action":"created","after":{"id":"01a221f2-8f8c-7279-98a1-8d43226b2ae2","version":1,"accountId":"01a221f2-8f84-71dd-9ec6-8c19ab6d0082","role":"billing","name":"Ada","email":"ada@example.org","createdAt":"2026-11-28T11:37:54.317011Z","updatedAt":"2026-11-28T11:37:54.317011Z"}}],"events":[{"id":"01a221f2-8f8d-75a2-8ae2-4f7bcf0db5dd","type":"contact.created"}]}');
INSERT INTO "business_transaction" VALUES(X'01A221F28F9073119E3AE2214DF8E46D','default','registerEventType',NULL,1795865874320181,'01a221f2-8f8f-74e4-a5bb-6fdc5892e99e','{"id":"01a221f2-8f90-7311-9e3a-e2214df8e46d","operation":"registerEventType","occurredAt":"2026-11-28T11:37:54.320181Z","actor":"admin","entities":[{"type":"eventType","id":"01a221f2-8f8f-74e4-a5bb-6fdc5892e99e","version":1,"action":"created","after":{"id":"01a221f2-8f8f-74e4-a5bb-6fdc5892e99e","version":1,"name":"custom.reading","title":"Reading","orderingKey":"key","schema":{"properties":{"n":{"type":"integer"}},"type":"object"},"createdAt":"2026-11-28T11:37:54.320181Z","updatedAt":"2026-11-28T11:37:54.320181Z"}}],"events":[]}');
INSERT INTO "business_transaction" VALUES(X'01A221F28F9C7051929C5B742851F31B','default','submitEvents',NULL,1795865874332179,NULL,'{"id":"01a221f2-8f9c-7051-929c-5b742851f31b","operation":"submitEvents","occurredAt":"2026-11-28T11:37:54.332179Z","actor":"admin","entities":[{"type":"customEvent","id":"01a221f2-8f97-74c3-8546-bf15fa0c2a9c","version":1,"action":"created","after":{"n":1}}],"events":[{"id":"01a221f2-8f9c-7051-929c-5b7538334668","type":"custom.reading"}]}');
INSERT INTO "business_transaction" VALUES(X'01A221F28FA77759943FB3081970B2F4','default','recordChargeableEvents',X'01A221F28F8471DD9EC68C19AB6D0082',1795865874343507,NULL,'{"id":"01a221f2-8fa7-7759-943f-b3081970b2f4","operation":"recordChargeableEvents","occurredAt":"2026-11-28T11:37:54.343507Z","actor":"admin","account":"01a221f2-8f84-71dd-9ec6-8c19ab6d0082","entities":[{"type":"chargeableEvent","id":"01a221f2-8f9e-7341-b48f-390fbaf8520d","version":1,"action":"created","after":{"id":"01a221f2-8f9e-7341-b48f-390fbaf8520d","version":1,"externalId":"C-1","accountId":"01a221f2-8f84-71dd-9ec6-8c19ab6d0082","type":"data","quantity":"5","unit":"MB","amount":{"amount":"4.00","currency":"EUR"},"netAmount":{"amount":"4.00","currency":"EUR"},"occurredAt":"2026-01-01T00:00:00Z","state":"unbilled","createdAt":"2026-11-28T11:37:54.343507Z","updatedAt":"2026-11-28T11:37:54.343507Z"}}],"events":[{"id":"01a221f2-8fa7-7759-943f-b3097fb0ce7c","type":"chargeable_event.created"}]}');
CREATE TABLE chargeable_event (id BLOB PRIMARY KEY, tenant TEXT NOT NULL, version BIGINT NOT NULL, external_id TEXT, account_id BLOB,
             status TEXT, due_at BIGINT, created_at BIGINT NOT NULL, service_id BLOB, kind TEXT NOT NULL, occurred_at BIGINT NOT NULL, net_amount BIGINT NOT NULL,
         invoice_id BLOB, search TEXT NOT NULL, body TEXT NOT NULL);
INSERT INTO "chargeable_event" VALUES(X'01A221F28F9E7341B48F390FBAF8520D','default',1,'C-1',X'01A221F28F8471DD9EC68C19AB6D0082','unbilled',NULL,1795865874343507,NULL,'data',1767225600000000,4000000,NULL,'data
c-1','{"id":"01a221f2-8f9e-7341-b48f-390fbaf8520d","version":1,"externalId":"C-1","accountId":"01a221f2-8f84-71dd-9ec6-8c19ab6d0082","type":"data","quantity":"5","unit":"MB","amount":{"amount":"4.00","currency":"EUR"},"netAmount":{"amount":"4.00","currency":"EUR"},"occurredAt":"2026-01-01T00:00:00Z","state":"unbilled","createdAt":"2026-11-28T11:37:54.343507Z","updatedAt":"2026-11-28T11:37:54.343507Z"}');
CREATE TABLE configuration (id BLOB PRIMARY KEY, tenant TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, version BIGINT NOT NULL,
        start_position BIGINT NOT NULL, created_at BIGINT NOT NULL, body TEXT NOT NULL, secrets TEXT);
INSERT INTO "configuration" VALUES(X'01A221F28F0B7558B5D7B1F8F57E5257','default','webhook_endpoint','e',1,1,1795865874270105,'{"id":"01a221f2-8f0b-7558-b5d7-b1f8f57e5257","version":1,"name":"e","url":"https://hooks.receiver.example","enabled":true,"signing":[{"id":"01a221f2-8f55-7388-afbd-20132351173a","algorithm":"hmac","createdAt":"2026-11-28T11:37:54.270064Z"}],"auth":{"type":"bearer"},"createdAt":"2026-11-28T11:37:54.270064Z"}','v1.a92c1220.ShLooRBa1zY-WP1tQGYViS6ajHlqnDIc7k0I22J2qKABKqyeXU0F3o0BomeoiUQtj5NZYJoo6yseBaKf.b3lRnwNng-3H_slEoFzwp3WntvMuHj-L4NINfdumx2HkDY4tznJ_nTD6tQc79YaHJ_LCWpvvsUHz8hJIxutWPE5QZMlN1AL7dBySrW-sQG14wzz9Eu7qQSmtrQemFVa-lMcT2fZu7SqZhVpR_66TTFa22E6stuTNFX2iGbDu6XwOZ49vMfNMj4WKgQ6a2oVgOiZUAOp89VQs_g');
INSERT INTO "configuration" VALUES(X'01A221F28F64722BAF716D468E46482A','default','queue','q',2,1,1795865874288959,'{"id":"01a221f2-8f64-722b-af71-6d468e46482a","version":2,"name":"q","mode":"in_order","eventTypes":["*"],"partitions":1,"paused":true,"createdAt":"2026-11-28T11:37:54.279767Z"}',NULL);
INSERT INTO "configuration" VALUES(X'01A221F28F7773EA9C409C0393A9CE69','default','subscription','s',1,1,1795865874299948,'{"id":"01a221f2-8f77-73ea-9c40-9c0393a9ce69","version":1,"name":"s","queueId":"01a221f2-8f64-722b-af71-6d468e46482a","eventTypes":[],"action":{"type":"webhook","webhookEndpointId":"01a221f2-8f0b-7558-b5d7-b1f8f57e5257"},"whenGivenUp":"skip","enabled":true,"createdAt":"2026-11-28T11:37:54.298994Z"}',NULL);
INSERT INTO "configuration" VALUES(X'01A221F28F8F74E4A5BB6FDC5892E99E','default','event_type','custom.reading',1,3,1795865874320552,'{"id":"01a221f2-8f8f-74e4-a5bb-6fdc5892e99e","version":1,"name":"custom.reading","title":"Reading","orderingKey":"key","schema":{"properties":{"n":{"type":"integer"}},"type":"object"},"createdAt":"2026-11-28T11:37:54.320181Z","updatedAt":"2026-11-28T11:37:54.320181Z"}',NULL);
CREATE TABLE contact (id BLOB PRIMARY KEY, tenant TEXT NOT NULL, version BIGINT NOT NULL, external_id TEXT, account_id BLOB,
             status TEXT, due_at BIGINT, created_at BIGINT NOT NULL, body TEXT NOT NULL);
INSERT INTO "contact" VALUES(X'01A221F28F8C727998A18D43226B2AE2','default',1,NULL,X'01A221F28F8471DD9EC68C19AB6D0082',NULL,NULL,1795865874317011,'{"id":"01a221f2-8f8c-7279-98a1-8d43226b2ae2","version":1,"accountId":"01a221f2-8f84-71dd-9ec6-8c19ab6d0082","role":"billing","name":"Ada","email":"ada@example.org","createdAt":"2026-11-28T11:37:54.317011Z","updatedAt":"2026-11-28T11:37:54.317011Z"}');
CREATE TABLE contract (id BLOB PRIMARY KEY, tenant TEXT NOT NULL, version BIGINT NOT NULL, external_id TEXT, account_id BLOB,
             status TEXT, due_at BIGINT, created_at BIGINT NOT NULL, body TEXT NOT NULL);
CREATE TABLE credit (id BLOB PRIMARY KEY, tenant TEXT NOT NULL, version BIGINT NOT NULL, external_id TEXT, account_id BLOB,
             status TEXT, due_at BIGINT, created_at BIGINT NOT NULL, remaining BIGINT NOT NULL, body TEXT NOT NULL);
CREATE TABLE delivery (id BLOB PRIMARY KEY, tenant TEXT NOT NULL, event_id BLOB NOT NULL, event_type TEXT NOT NULL,
        queue_id BLOB NOT NULL, partition INTEGER NOT NULL, subscription_id BLOB NOT NULL, lane_id BLOB NOT NULL, ordering_key TEXT NOT NULL,
        sequence BIGINT NOT NULL, position BIGINT NOT NULL, state TEXT NOT NULL, attempts INTEGER NOT NULL, forgiven INTEGER NOT NULL,
        next_attempt_at BIGINT, last_status INTEGER, last_detail TEXT NOT NULL, last_latency_us BIGINT NOT NULL, last_attempt_at BIGINT,
        created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL);
CREATE TABLE event (position INTEGER PRIMARY KEY AUTOINCREMENT, id BLOB NOT NULL UNIQUE, tenant TEXT NOT NULL, ordering_key TEXT NOT NULL,
        sequence BIGINT NOT NULL, kind TEXT NOT NULL, object_id TEXT NOT NULL, transaction_id BLOB NOT NULL,
        occurred_at BIGINT NOT NULL, recorded_at BIGINT NOT NULL, body TEXT NOT NULL, private TEXT, UNIQUE (tenant, ordering_key, sequence));
INSERT INTO "event" VALUES(1,X'01A221F28F0676ABB9D22789AC957893','default','01a221f2-8f05-74a0-afbd-a8142ffd171c',1,'bill_cycle.created','01a221f2-8f05-74a0-afbd-a8142ffd171c',X'01A221F28F0676ABB9D2278874FCCDA5',1795865874182030,1795865874182561,'{"specversion":"1.0","id":"01a221f2-8f06-76ab-b9d2-2789ac957893","source":"/tenants/default","type":"bill_cycle.created","subject":"01a221f2-8f05-74a0-afbd-a8142ffd171c","time":"2026-11-28T11:37:54.182030Z","datacontenttype":"application/json","dataschema":"urn:billwire:bill_cycle.created:v1","partitionkey":"01a221f2-8f05-74a0-afbd-a8142ffd171c","sequence":"00000000000000000001","transactionid":"01a221f2-8f06-76ab-b9d2-278874fccda5","data":{"object":{"type":"billCycle","id":"01a221f2-8f05-74a0-afbd-a8142ffd171c","version":1,"action":"created"},"after":{"id":"01a221f2-8f05-74a0-afbd-a8142ffd171c","version":1,"externalId":"MONTHLY-1","name":"Monthly","period":"month","length":1,"individual":false,"billingDay":1,"createdAt":"2026-11-28T11:37:54.182030Z","updatedAt":"2026-11-28T11:37:54.182030Z"},"parameters":{"billCycle.externalId":"MONTHLY-1","billCycle.id":"01a221f2-8f05-74a0-afbd-a8142ffd171c","billCycle.name":"Monthly","billCycle.period":"month","current.date":"2026-11-28","current.dateTime":"2026-11-28T11:37:54Z","current.time":"11:37:54","event.name":"Bill Cycle Created","event.type":"bill_cycle.created","tenant.name":"default"}}}',NULL);
INSERT INTO "event" VALUES(2,X'01A221F28F85700E969717CDD026493F','default','01a221f2-8f84-71dd-9ec6-8c19ab6d0082',1,'account.created','01a221f2-8f84-71dd-9ec6-8c19ab6d0082',X'01A221F28F85700E969717CCC16CB735',1795865874309037,1795865874309207,'{"specversion":"1.0","id":"01a221f2-8f85-700e-9697-17cdd026493f","source":"/tenants/default","type":"account.created","subject":"01a221f2-8f84-71dd-9ec6-8c19ab6d0082","time":"2026-11-28T11:37:54.309037Z","datacontenttype":"application/json","dataschema":"urn:billwire:account.created:v1","partitionkey":"01a221f2-8f84-71dd-9ec6-8c19ab6d0082","sequence":"00000000000000000001","transactionid":"01a221f2-8f85-700e-9697-17ccc16cb735","data":{"object":{"type":"account","id":"01a221f2-8f84-71dd-9ec6-8c19ab6d0082","version":1,"action":"created"},"after":{"id":"01a221f2-8f84-71dd-9ec6-8c19ab6d0082","version":1,"externalId":"CRM-1","name":"Acme","status":"active","currency":"EUR","billCycle":{"billCycleId":"01a221f2-8f05-74a0-afbd-a8142ffd171c","period":{"start":"2026-11-28","end":"2026-12-01"}},"createdAt":"2026-11-28T11:37:54.309037Z","updatedAt":"2026-11-28T11:37:54.309037Z"},"parameters":{"account.billCycle":"01a221f2-8f05-74a0-afbd-a8142ffd171c","account.currency":"EUR","account.externalId":"CRM-1","account.id":"01a221f2-8f84-71dd-9ec6-8c19ab6d0082","account.name":"Acme","account.periodEnd":"2026-12-01","account.periodStart":"2026-11-28","account.status":"active","current.date":"2026-11-28","current.dateTime":"2026-11-28T11:37:54Z","current.time":"11:37:54","event.name":"Account Created","event.type":"account.created","tenant.name":"default"}}}',NULL);
INSERT INTO "event" VALUES(3,X'01A221F28F8D75A28AE24F7BCF0DB5DD','default','01a221f2-8f84-71dd-9ec6-8c19ab6d0082',2,'contact.created','01a221f2-8f8c-7279-98a1-8d43226b2ae2',X'01A221F28F8D75A28AE24F7ABCF5A3C9',1795865874317011,1795865874317197,'{"specversion":"1.0","id":"01a221f2-8f8d-75a2-8ae2-4f7bcf0db5dd","source":"/tenants/default","type":"contact.created","subject":"01a221f2-8f8c-7279-98a1-8d43226b2ae2","time":"2026-11-28T11:37:54.317011Z","datacontenttype":"application/json","dataschema":"urn:billwire:contact.created:v1","partitionkey":"01a221f2-8f84-71dd-9ec6-8c19ab6d0082","sequence":"00000000000000000002","transactionid":"01a221f2-8f8d-75a2-8ae2-4f7abcf5a3c9","data":{"object":{"type":"contact","id":"01a221f2-8f8c-7279-98a1-8d43226b2ae2","version":1,"action":"created"},"after":{"id":"01a221f2-8f8c-7279-98a1-8d43226b2ae2","version":1,"accountId":"01a221f2-8f84-71dd-9ec6-8c19ab6d0082","role":"billing","name":"Ada","email":"ada@example.org","createdAt":"2026-11-28T11:37:54.317011Z","updatedAt":"2026-11-28T11:37:54.317011Z"},"parameters":{"account.billCycle":"01a221f2-8f05-74a0-afbd-a8142ffd171c","account.currency":"EUR","account.externalId":"CRM-1","account.id":"01a221f2-8f84-71dd-9ec6-8c19ab6d0082","account.name":"Acme","account.periodEnd":"2026-12-01","account.periodStart":"2026-11-28","account.status":"active","current.date":"2026-11-28","current.dateTime":"2026-11-28T11:37:54Z","current.time":"11:37:54","event.name":"Contact Created","event.type":"contact.created","tenant.name":"default"}}}','{"contact.email":"ada@example.org","contact.id":"01a221f2-8f8c-7279-98a1-8d43226b2ae2","contact.name":"Ada","contact.role":"billing"}');
INSERT INTO "event" VALUES(4,X'01A221F28F9C7051929C5B7538334668','default','k',1,'custom.reading','01a221f2-8f97-74c3-8546-bf15fa0c2a9c',X'01A221F28F9C7051929C5B742851F31B',1795865874332179,1795865874332330,'{"specversion":"1.0","id":"01a221f2-8f9c-7051-929c-5b7538334668","source":"/tenants/default","type":"custom.reading","subject":"01a221f2-8f97-74c3-8546-bf15fa0c2a9c","time":"2026-11-28T11:37:54.332179Z","datacontenttype":"application/json","dataschema":"urn:billwire:custom.reading:v1","partitionkey":"k","sequence":"00000000000000000001","transactionid":"01a221f2-8f9c-7051-929c-5b742851f31b","data":{"object":{"type":"customEvent","id":"01a221f2-8f97-74c3-8546-bf15fa0c2a9c","version":1,"action":"created"},"after":{"n":1},"parameters":{"current.date":"2026-11-28","current.dateTime":"2026-11-28T11:37:54Z","current.time":"11:37:54","data.n":1,"event.name":"Reading","event.type":"custom.reading","tenant.name":"default"}}}',NULL);
INSERT INTO "event" VALUES(5,X'01A221F28FA77759943FB3097FB0CE7C','default','01a221f2-8f84-71dd-9ec6-8c19ab6d0082',3,'chargeable_event.created','01a221f2-8f9e-7341-b48f-390fbaf8520d',X'01A221F28FA77759943FB3081970B2F4',1795865874343507,1795865874343988,'{"specversion":"1.0","id":"01a221f2-8fa7-7759-943f-b3097fb0ce7c","source":"/tenants/default","type":"chargeable_event.created","subject":"01a221f2-8f9e-7341-b48f-390fbaf8520d","time":"2026-11-28T11:37:54.343507Z","datacontenttype":"application/json","dataschema":"urn:billwire:chargeable_event.created:v1","partitionkey":"01a221f2-8f84-71dd-9ec6-8c19ab6d0082","sequence":"00000000000000000003","transactionid":"01a221f2-8fa7-7759-943f-b3081970b2f4","data":{"object":{"type":"chargeableEvent","id":"01a221f2-8f9e-7341-b48f-390fbaf8520d","version":1,"action":"created"},"after":{"id":"01a221f2-8f9e-7341-b48f-390fbaf8520d","version":1,"externalId":"C-1","accountId":"01a221f2-8f84-71dd-9ec6-8c19ab6d0082","type":"data","quantity":"5","unit":"MB","amount":{"amount":"4.00","currency":"EUR"},"netAmount":{"amount":"4.00","currency":"EUR"},"occurredAt":"2026-01-01T00:00:00Z","state":"unbilled","createdAt":"2026-11-28T11:37:54.343507Z","updatedAt":"2026-11-28T11:37:54.343507Z"},"parameters":{"account.billCycle":"01a221f2-8f05-74a0-afbd-a8142ffd171c","account.currency":"EUR","account.externalId":"CRM-1","account.id":"01a221f2-8f84-71dd-9ec6-8c19ab6d0082","account.name":"Acme","account.periodEnd":"2026-12-01","account.periodStart":"2026-11-28","account.status":"active","chargeableEvent.amount":"4.00","chargeableEvent.currency":"EUR","chargeableEvent.externalId":"C-1","chargeableEvent.id":"01a221f2-8f9e-7341-b48f-390fbaf8520d","chargeableEvent.netAmount":"4.00","chargeableEvent.occurredAt":"2026-01-01T00:00:00Z","chargeableEvent.quantity":"5","chargeableEvent.state":"unbilled","chargeableEvent.type":"data","chargeableEvent.unit":"MB","current.date":"2026-11-28","current.dateTime":"2026-11-28T11:37:54Z","current.time":"11:37:54","event.name":"Chargeable Event Created","event.type":"chargeable_event.created","tenant.name":"default"}}}',NULL);
CREATE TABLE health (target_id BLOB PRIMARY KEY, tenant TEXT NOT NULL, failing_since BIGINT NOT NULL, failures BIGINT NOT NULL,
        open_until BIGINT, wait_ms BIGINT NOT NULL);
CREATE TABLE idempotency (tenant TEXT NOT NULL, key TEXT NOT NULL, fingerprint TEXT NOT NULL,
        status INTEGER NOT NULL, sealed BOOLEAN NOT NULL, body TEXT NOT NULL, created_at BIGINT NOT NULL, PRIMARY KEY (tenant, key));
CREATE TABLE invoice (id BLOB PRIMARY KEY, tenant TEXT NOT NULL, version BIGINT NOT NULL, external_id TEXT, account_id BLOB,
             status TEXT, due_at BIGINT, created_at BIGINT NOT NULL, bill_run_id BLOB, overdue_since BIGINT, body TEXT NOT NULL);
CREATE TABLE lease (name TEXT PRIMARY KEY, owner TEXT NOT NULL, fence BIGINT NOT NULL, expires_at BIGINT NOT NULL);
INSERT INTO "lease" VALUES('bill-runs','28823-01a221f2-8ef9-76c9-a855-11daff0b7187',1,0);
INSERT INTO "lease" VALUES('relay','28823-01a221f2-8f60-7249-9c3d-34c561f6fe60',1,0);
INSERT INTO "lease" VALUES('replays','28823-01a221f2-8f60-7249-9c3d-34c6747e8aad',1,0);
INSERT INTO "lease" VALUES('warehouse','28823-01a221f2-8edc-74c6-bc85-34c4d87ee808',1,0);
INSERT INTO "lease" VALUES('queue-01a221f2-8f64-722b-af71-6d468e46482a-0of1','28823-01a221f2-8edc-74c6-bc85-34c4d87ee808',1,0);
CREATE TABLE ordering_key (tenant TEXT NOT NULL, key TEXT NOT NULL, last_sequence BIGINT NOT NULL, PRIMARY KEY (tenant, key));
INSERT INTO "ordering_key" VALUES('default','01a221f2-8f05-74a0-afbd-a8142ffd171c',1);
INSERT INTO "ordering_key" VALUES('default','configuration',5);
INSERT INTO "ordering_key" VALUES('default','01a221f2-8f84-71dd-9ec6-8c19ab6d0082',3);
INSERT INTO "ordering_key" VALUES('default','k',1);
CREATE TABLE outbox (position BIGINT PRIMARY KEY);
CREATE TABLE package (id BLOB PRIMARY KEY, tenant TEXT NOT NULL, version BIGINT NOT NULL, external_id TEXT, account_id BLOB,
             status TEXT, due_at BIGINT, created_at BIGINT NOT NULL, currency TEXT NOT NULL, body TEXT NOT NULL);
CREATE TABLE package_subscription (id BLOB PRIMARY KEY, tenant TEXT NOT NULL, version BIGINT NOT NULL, external_id TEXT, account_id BLOB,
             status TEXT, due_at BIGINT, created_at BIGINT NOT NULL, package_id BLOB NOT NULL REFERENCES package (id), body TEXT NOT NULL);
CREATE TABLE payment (id BLOB PRIMARY KEY, tenant TEXT NOT NULL, version BIGINT NOT NULL, external_id TEXT, account_id BLOB,
             status TEXT, due_at BIGINT, created_at BIGINT NOT NULL, body TEXT NOT NULL);
CREATE TABLE queue_progress (queue_id BLOB NOT NULL, partition INTEGER NOT NULL, pending BIGINT NOT NULL, delivered BIGINT NOT NULL,
        failed BIGINT NOT NULL, at BIGINT NOT NULL, PRIMARY KEY (queue_id, partition));
CREATE TABLE recipient (delivery_id BLOB NOT NULL, address TEXT NOT NULL, state TEXT NOT NULL, status INTEGER, detail TEXT NOT NULL,
        at BIGINT NOT NULL, PRIMARY KEY (delivery_id, address));
CREATE TABLE refund (id BLOB PRIMARY KEY, tenant TEXT NOT NULL, version BIGINT NOT NULL, external_id TEXT, account_id BLOB,
             status TEXT, due_at BIGINT, created_at BIGINT NOT NULL, payment_id BLOB NOT NULL, body TEXT NOT NULL);
CREATE TABLE replay (id BLOB PRIMARY KEY, tenant TEXT NOT NULL, subscription_id BLOB NOT NULL, from_at BIGINT NOT NULL,
        to_at BIGINT NOT NULL, event_types TEXT NOT NULL, dry_run BOOLEAN NOT NULL, state TEXT NOT NULL, cursor BIGINT NOT NULL,
        last_position BIGINT NOT NULL, looked_at BIGINT NOT NULL, matched BIGINT NOT NULL, created_at BIGINT NOT NULL);
CREATE TABLE "seaql_migrations" ( "version" varchar NOT NULL PRIMARY KEY, "applied_at" integer NOT NULL );
INSERT INTO "seaql_migrations" VALUES('m0001_start',1795865874);
CREATE TABLE service (id BLOB PRIMARY KEY, tenant TEXT NOT NULL, version BIGINT NOT NULL, external_id TEXT, account_id BLOB,
             status TEXT, due_at BIGINT, created_at BIGINT NOT NULL, package_subscription_id BLOB, body TEXT NOT NULL);
CREATE TABLE setting (key TEXT PRIMARY KEY, value TEXT NOT NULL);
INSERT INTO "setting" VALUES('stream_epoch','01a221f2-8f57-727c-b0f9-063eaebeab69');
INSERT INTO "setting" VALUES('stream_last_sequence','5');
CREATE TABLE usage_identifier (id BLOB PRIMARY KEY, tenant TEXT NOT NULL, version BIGINT NOT NULL, external_id TEXT, account_id BLOB,
             status TEXT, due_at BIGINT, created_at BIGINT NOT NULL, service_id BLOB NOT NULL, kind TEXT NOT NULL, value TEXT NOT NULL, body TEXT NOT NULL);
CREATE TABLE warehouse_batch (id INTEGER PRIMARY KEY AUTOINCREMENT, written BOOLEAN NOT NULL, created_at BIGINT NOT NULL);
INSERT INTO "warehouse_batch" VALUES(1,1,1795865876304522);
CREATE TABLE warehouse_event (event_id BLOB PRIMARY KEY, batch BIGINT NOT NULL);
INSERT INTO "warehouse_event" VALUES(X'01A221F28F0676ABB9D22789AC957893',1);
INSERT INTO "warehouse_event" VALUES(X'01A221F28F85700E969717CDD026493F',1);
INSERT INTO "warehouse_event" VALUES(X'01A221F28F8D75A28AE24F7BCF0DB5DD',1);
INSERT INTO "warehouse_event" VALUES(X'01A221F28F9C7051929C5B7538334668',1);
INSERT INTO "warehouse_event" VALUES(X'01A221F28FA77759943FB3097FB0CE7C',1);
CREATE UNIQUE INDEX bill_cycle_external_id ON bill_cycle (tenant, external_id) WHERE external_id IS NOT NULL;
CREATE INDEX bill_cycle_list ON bill_cycle (tenant, id);
CREATE INDEX bill_cycle_account ON bill_cycle (account_id, id) WHERE account_id IS NOT NULL;
CREATE INDEX bill_cycle_due ON bill_cycle (due_at) WHERE due_at IS NOT NULL;
CREATE UNIQUE INDEX package_external_id ON package (tenant, external_id) WHERE external_id IS NOT NULL;
CREATE INDEX package_list ON package (tenant, id);
CREATE INDEX package_account ON package (account_id, id) WHERE account_id IS NOT NULL;
CREATE INDEX package_due ON package (due_at) WHERE due_at IS NOT NULL;
CREATE UNIQUE INDEX account_external_id ON account (tenant, external_id) WHERE external_id IS NOT NULL;
CREATE INDEX account_list ON account (tenant, id);
CREATE INDEX account_account ON account (account_id, id) WHERE account_id IS NOT NULL;
CREATE INDEX account_due ON account (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX account_cycle ON account (tenant, bill_cycle_id, id);
CREATE INDEX account_planned_cycle ON account (planned_bill_cycle_id);
CREATE UNIQUE INDEX contact_external_id ON contact (tenant, external_id) WHERE external_id IS NOT NULL;
CREATE INDEX contact_list ON contact (tenant, id);
CREATE INDEX contact_account ON contact (account_id, id) WHERE account_id IS NOT NULL;
CREATE INDEX contact_due ON contact (due_at) WHERE due_at IS NOT NULL;
CREATE UNIQUE INDEX package_subscription_external_id ON package_subscription (tenant, external_id) WHERE external_id IS NOT NULL;
CREATE INDEX package_subscription_list ON package_subscription (tenant, id);
CREATE INDEX package_subscription_account ON package_subscription (account_id, id) WHERE account_id IS NOT NULL;
CREATE INDEX package_subscription_due ON package_subscription (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX package_subscription_package ON package_subscription (package_id, id);
CREATE UNIQUE INDEX chargeable_event_external_id ON chargeable_event (tenant, external_id) WHERE external_id IS NOT NULL;
CREATE INDEX chargeable_event_list ON chargeable_event (tenant, id);
CREATE INDEX chargeable_event_account ON chargeable_event (account_id, id) WHERE account_id IS NOT NULL;
CREATE INDEX chargeable_event_due ON chargeable_event (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX chargeable_event_service ON chargeable_event (service_id) WHERE (service_id IS NOT NULL);
CREATE INDEX chargeable_event_occurred ON chargeable_event (tenant, occurred_at, id);
CREATE INDEX chargeable_event_unbilled ON chargeable_event (account_id, occurred_at) WHERE (invoice_id IS NULL);
CREATE INDEX chargeable_event_invoice ON chargeable_event (invoice_id) WHERE (invoice_id IS NOT NULL);
CREATE UNIQUE INDEX adjustment_external_id ON adjustment (tenant, external_id) WHERE external_id IS NOT NULL;
CREATE INDEX adjustment_list ON adjustment (tenant, id);
CREATE INDEX adjustment_account ON adjustment (account_id, id) WHERE account_id IS NOT NULL;
CREATE INDEX adjustment_due ON adjustment (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX adjustment_charge ON adjustment (chargeable_event_id);
CREATE INDEX adjustment_pending ON adjustment (account_id) WHERE (status = 'pending');
CREATE INDEX adjustment_invoice ON adjustment (invoice_id) WHERE (invoice_id IS NOT NULL);
CREATE UNIQUE INDEX invoice_external_id ON invoice (tenant, external_id) WHERE external_id IS NOT NULL;
CREATE INDEX invoice_list ON invoice (tenant, id);
CREATE INDEX invoice_account ON invoice (account_id, id) WHERE account_id IS NOT NULL;
CREATE INDEX invoice_due ON invoice (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX invoice_run ON invoice (bill_run_id, id) WHERE (bill_run_id IS NOT NULL);
CREATE INDEX invoice_overdue ON invoice (tenant, id) WHERE (overdue_since IS NOT NULL);
CREATE UNIQUE INDEX bill_run_external_id ON bill_run (tenant, external_id) WHERE external_id IS NOT NULL;
CREATE INDEX bill_run_list ON bill_run (tenant, id);
CREATE INDEX bill_run_account ON bill_run (account_id, id) WHERE account_id IS NOT NULL;
CREATE INDEX bill_run_due ON bill_run (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX bill_run_cycle ON bill_run (bill_cycle_id, id);
CREATE INDEX bill_run_running ON bill_run (id) WHERE (status = 'running');
CREATE UNIQUE INDEX usage_identifier_external_id ON usage_identifier (tenant, external_id) WHERE external_id IS NOT NULL;
CREATE INDEX usage_identifier_list ON usage_identifier (tenant, id);
CREATE INDEX usage_identifier_account ON usage_identifier (account_id, id) WHERE account_id IS NOT NULL;
CREATE INDEX usage_identifier_due ON usage_identifier (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX usage_identifier_service ON usage_identifier (service_id);
CREATE UNIQUE INDEX bucket_external_id ON bucket (tenant, external_id) WHERE external_id IS NOT NULL;
CREATE INDEX bucket_list ON bucket (tenant, id);
CREATE INDEX bucket_account ON bucket (account_id, id) WHERE account_id IS NOT NULL;
CREATE INDEX bucket_due ON bucket (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX bucket_service ON bucket (service_id);
CREATE UNIQUE INDEX contract_external_id ON contract (tenant, external_id) WHERE external_id IS NOT NULL;
CREATE INDEX contract_list ON contract (tenant, id);
CREATE INDEX contract_account ON contract (account_id, id) WHERE account_id IS NOT NULL;
CREATE INDEX contract_due ON contract (due_at) WHERE due_at IS NOT NULL;
CREATE UNIQUE INDEX credit_external_id ON credit (tenant, external_id) WHERE external_id IS NOT NULL;
CREATE INDEX credit_list ON credit (tenant, id);
CREATE INDEX credit_account ON credit (account_id, id) WHERE account_id IS NOT NULL;
CREATE INDEX credit_due ON credit (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX credit_remaining ON credit (account_id) WHERE (remaining > 0);
CREATE UNIQUE INDEX payment_external_id ON payment (tenant, external_id) WHERE external_id IS NOT NULL;
CREATE INDEX payment_list ON payment (tenant, id);
CREATE INDEX payment_account ON payment (account_id, id) WHERE account_id IS NOT NULL;
CREATE INDEX payment_due ON payment (due_at) WHERE due_at IS NOT NULL;
CREATE UNIQUE INDEX refund_external_id ON refund (tenant, external_id) WHERE external_id IS NOT NULL;
CREATE INDEX refund_list ON refund (tenant, id);
CREATE INDEX refund_account ON refund (account_id, id) WHERE account_id IS NOT NULL;
CREATE INDEX refund_due ON refund (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX refund_payment ON refund (payment_id);
CREATE UNIQUE INDEX service_external_id ON service (tenant, external_id) WHERE external_id IS NOT NULL;
CREATE INDEX service_list ON service (tenant, id);
CREATE INDEX service_account ON service (account_id, id) WHERE account_id IS NOT NULL;
CREATE INDEX service_due ON service (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX service_subscription ON service (package_subscription_id, id);
CREATE UNIQUE INDEX usage_identifier_value ON usage_identifier (tenant, kind, value);
CREATE UNIQUE INDEX configuration_name ON configuration (tenant, kind, name);
CREATE INDEX business_transaction_time ON business_transaction (tenant, occurred_at, id);
CREATE INDEX business_transaction_account ON business_transaction (account_id, occurred_at, id) WHERE account_id IS NOT NULL;
CREATE INDEX business_transaction_operation ON business_transaction (tenant, operation, occurred_at, id);
CREATE INDEX business_transaction_object ON business_transaction (tenant, object_id) WHERE object_id IS NOT NULL;
CREATE INDEX event_transaction ON event (transaction_id);
CREATE INDEX event_time ON event (tenant, occurred_at, id);
CREATE INDEX event_kind ON event (tenant, kind, occurred_at, id);
CREATE INDEX event_object ON event (tenant, object_id);
CREATE INDEX ordering_key_configuration ON ordering_key (key) WHERE key = 'configuration';
CREATE INDEX idempotency_age ON idempotency (created_at);
CREATE INDEX delivery_due ON delivery (queue_id, partition, lane_id, next_attempt_at) WHERE state = 'waiting';
CREATE INDEX delivery_lane ON delivery (lane_id, ordering_key, sequence) WHERE state IN ('waiting', 'blocking');
CREATE INDEX delivery_dead ON delivery (tenant, created_at, id) WHERE state IN ('dead', 'blocking');
CREATE INDEX delivery_given_up ON delivery (lane_id) WHERE state IN ('dead', 'blocking', 'discarded');
CREATE INDEX delivery_list ON delivery (tenant, created_at, id);
CREATE INDEX replay_list ON replay (tenant, created_at, id);
CREATE INDEX replay_collecting ON replay (id) WHERE state = 'collecting';
CREATE INDEX warehouse_batch_open ON warehouse_batch (id) WHERE NOT written;
CREATE INDEX warehouse_event_batch ON warehouse_event (batch);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('event',5);
INSERT INTO "sqlite_sequence" VALUES('warehouse_batch',1);
COMMIT;
