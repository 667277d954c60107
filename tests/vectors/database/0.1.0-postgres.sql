--
-- PostgreSQL database dump
--


-- Dumped from database version 15.18 (Debian 15.18-0+deb12u1)
-- Dumped by pg_dump version 15.18 (Debian 15.18-0+deb12u1)

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

SET default_tablespace = '';

SET default_table_access_method = heap;

--
-- Name: account; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.account (
    id uuid NOT NULL,
    tenant text NOT NULL,
    version bigint NOT NULL,
    external_id text,
    account_id uuid,
    status text,
    due_at bigint,
    created_at bigint NOT NULL,
    bill_cycle_id uuid NOT NULL,
    planned_bill_cycle_id uuid,
    body text NOT NULL
);


--
-- Name: adjustment; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.adjustment (
    id uuid NOT NULL,
    tenant text NOT NULL,
    version bigint NOT NULL,
    external_id text,
    account_id uuid,
    status text,
    due_at bigint,
    created_at bigint NOT NULL,
    chargeable_event_id uuid NOT NULL,
    invoice_id uuid,
    body text NOT NULL
);


--
-- Name: api_key; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.api_key (
    id text NOT NULL,
    tenant text NOT NULL,
    name text NOT NULL,
    hash text NOT NULL,
    scopes text NOT NULL,
    created_at bigint NOT NULL,
    revoked_at bigint
);


--
-- Name: attempt; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.attempt (
    delivery_id uuid NOT NULL,
    number integer NOT NULL,
    at bigint NOT NULL,
    latency_us bigint NOT NULL,
    status integer,
    detail text NOT NULL
);


--
-- Name: bill_cycle; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.bill_cycle (
    id uuid NOT NULL,
    tenant text NOT NULL,
    version bigint NOT NULL,
    external_id text,
    account_id uuid,
    status text,
    due_at bigint,
    created_at bigint NOT NULL,
    body text NOT NULL
);


--
-- Name: bill_run; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.bill_run (
    id uuid NOT NULL,
    tenant text NOT NULL,
    version bigint NOT NULL,
    external_id text,
    account_id uuid,
    status text,
    due_at bigint,
    created_at bigint NOT NULL,
    bill_cycle_id uuid NOT NULL,
    body text NOT NULL
);


--
-- Name: billed_account; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.billed_account (
    run_id uuid NOT NULL,
    account_id uuid NOT NULL,
    outcome text NOT NULL,
    invoice_id uuid,
    total bigint NOT NULL,
    currency text NOT NULL
);


--
-- Name: bucket; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.bucket (
    id uuid NOT NULL,
    tenant text NOT NULL,
    version bigint NOT NULL,
    external_id text,
    account_id uuid,
    status text,
    due_at bigint,
    created_at bigint NOT NULL,
    service_id uuid NOT NULL,
    body text NOT NULL
);


--
-- Name: business_transaction; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.business_transaction (
    id uuid NOT NULL,
    tenant text NOT NULL,
    operation text NOT NULL,
    account_id uuid,
    occurred_at bigint NOT NULL,
    object_id text,
    body text NOT NULL
);


--
-- Name: chargeable_event; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.chargeable_event (
    id uuid NOT NULL,
    tenant text NOT NULL,
    version bigint NOT NULL,
    external_id text,
    account_id uuid,
    status text,
    due_at bigint,
    created_at bigint NOT NULL,
    service_id uuid,
    kind text NOT NULL,
    occurred_at bigint NOT NULL,
    net_amount bigint NOT NULL,
    invoice_id uuid,
    search text NOT NULL,
    body text NOT NULL
);


--
-- Name: configuration; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.configuration (
    id uuid NOT NULL,
    tenant text NOT NULL,
    kind text NOT NULL,
    name text NOT NULL,
    version bigint NOT NULL,
    start_position bigint NOT NULL,
    created_at bigint NOT NULL,
    body text NOT NULL,
    secrets text
);


--
-- Name: contact; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.contact (
    id uuid NOT NULL,
    tenant text NOT NULL,
    version bigint NOT NULL,
    external_id text,
    account_id uuid,
    status text,
    due_at bigint,
    created_at bigint NOT NULL,
    body text NOT NULL
);


--
-- Name: contract; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.contract (
    id uuid NOT NULL,
    tenant text NOT NULL,
    version bigint NOT NULL,
    external_id text,
    account_id uuid,
    status text,
    due_at bigint,
    created_at bigint NOT NULL,
    body text NOT NULL
);


--
-- Name: credit; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.credit (
    id uuid NOT NULL,
    tenant text NOT NULL,
    version bigint NOT NULL,
    external_id text,
    account_id uuid,
    status text,
    due_at bigint,
    created_at bigint NOT NULL,
    remaining bigint NOT NULL,
    body text NOT NULL
);


--
-- Name: delivery; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.delivery (
    id uuid NOT NULL,
    tenant text NOT NULL,
    event_id uuid NOT NULL,
    event_type text NOT NULL,
    queue_id uuid NOT NULL,
    partition integer NOT NULL,
    subscription_id uuid NOT NULL,
    lane_id uuid NOT NULL,
    ordering_key text NOT NULL,
    sequence bigint NOT NULL,
    "position" bigint NOT NULL,
    state text NOT NULL,
    attempts integer NOT NULL,
    forgiven integer NOT NULL,
    next_attempt_at bigint,
    last_status integer,
    last_detail text NOT NULL,
    last_latency_us bigint NOT NULL,
    last_attempt_at bigint,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL
);


--
-- Name: event; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.event (
    "position" bigint NOT NULL,
    id uuid NOT NULL,
    tenant text NOT NULL,
    ordering_key text NOT NULL,
    sequence bigint NOT NULL,
    kind text NOT NULL,
    object_id text NOT NULL,
    transaction_id uuid NOT NULL,
    occurred_at bigint NOT NULL,
    recorded_at bigint NOT NULL,
    body text NOT NULL,
    private text
);


--
-- Name: event_position_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.event_position_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: event_position_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.event_position_seq OWNED BY public.event."position";


--
-- Name: health; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.health (
    target_id uuid NOT NULL,
    tenant text NOT NULL,
    failing_since bigint NOT NULL,
    failures bigint NOT NULL,
    open_until bigint,
    wait_ms bigint NOT NULL
);


--
-- Name: idempotency; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.idempotency (
    tenant text NOT NULL,
    key text NOT NULL,
    fingerprint text NOT NULL,
    status integer NOT NULL,
    sealed boolean NOT NULL,
    body text NOT NULL,
    created_at bigint NOT NULL
);


--
-- Name: invoice; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.invoice (
    id uuid NOT NULL,
    tenant text NOT NULL,
    version bigint NOT NULL,
    external_id text,
    account_id uuid,
    status text,
    due_at bigint,
    created_at bigint NOT NULL,
    bill_run_id uuid,
    overdue_since bigint,
    body text NOT NULL
);


--
-- Name: lease; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.lease (
    name text NOT NULL,
    owner text NOT NULL,
    fence bigint NOT NULL,
    expires_at bigint NOT NULL
);


--
-- Name: ordering_key; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.ordering_key (
    tenant text NOT NULL,
    key text NOT NULL,
    last_sequence bigint NOT NULL
);


--
-- Name: outbox; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.outbox (
    "position" bigint NOT NULL
);


--
-- Name: package; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.package (
    id uuid NOT NULL,
    tenant text NOT NULL,
    version bigint NOT NULL,
    external_id text,
    account_id uuid,
    status text,
    due_at bigint,
    created_at bigint NOT NULL,
    currency text NOT NULL,
    body text NOT NULL
);


--
-- Name: package_subscription; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.package_subscription (
    id uuid NOT NULL,
    tenant text NOT NULL,
    version bigint NOT NULL,
    external_id text,
    account_id uuid,
    status text,
    due_at bigint,
    created_at bigint NOT NULL,
    package_id uuid NOT NULL,
    body text NOT NULL
);


--
-- Name: payment; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.payment (
    id uuid NOT NULL,
    tenant text NOT NULL,
    version bigint NOT NULL,
    external_id text,
    account_id uuid,
    status text,
    due_at bigint,
    created_at bigint NOT NULL,
    body text NOT NULL
);


--
-- Name: queue_progress; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.queue_progress (
    queue_id uuid NOT NULL,
    partition integer NOT NULL,
    pending bigint NOT NULL,
    delivered bigint NOT NULL,
    failed bigint NOT NULL,
    at bigint NOT NULL
);


--
-- Name: recipient; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.recipient (
    delivery_id uuid NOT NULL,
    address text NOT NULL,
    state text NOT NULL,
    status integer,
    detail text NOT NULL,
    at bigint NOT NULL
);


--
-- Name: refund; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.refund (
    id uuid NOT NULL,
    tenant text NOT NULL,
    version bigint NOT NULL,
    external_id text,
    account_id uuid,
    status text,
    due_at bigint,
    created_at bigint NOT NULL,
    payment_id uuid NOT NULL,
    body text NOT NULL
);


--
-- Name: replay; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.replay (
    id uuid NOT NULL,
    tenant text NOT NULL,
    subscription_id uuid NOT NULL,
    from_at bigint NOT NULL,
    to_at bigint NOT NULL,
    event_types text NOT NULL,
    dry_run boolean NOT NULL,
    state text NOT NULL,
    cursor bigint NOT NULL,
    last_position bigint NOT NULL,
    looked_at bigint NOT NULL,
    matched bigint NOT NULL,
    created_at bigint NOT NULL
);


--
-- Name: seaql_migrations; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.seaql_migrations (
    version character varying NOT NULL,
    applied_at bigint NOT NULL
);


--
-- Name: service; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.service (
    id uuid NOT NULL,
    tenant text NOT NULL,
    version bigint NOT NULL,
    external_id text,
    account_id uuid,
    status text,
    due_at bigint,
    created_at bigint NOT NULL,
    package_subscription_id uuid,
    body text NOT NULL
);


--
-- Name: setting; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.setting (
    key text NOT NULL,
    value text NOT NULL
);


--
-- Name: usage_identifier; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.usage_identifier (
    id uuid NOT NULL,
    tenant text NOT NULL,
    version bigint NOT NULL,
    external_id text,
    account_id uuid,
    status text,
    due_at bigint,
    created_at bigint NOT NULL,
    service_id uuid NOT NULL,
    kind text NOT NULL,
    value text NOT NULL,
    body text NOT NULL
);


--
-- Name: warehouse_batch; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.warehouse_batch (
    id bigint NOT NULL,
    written boolean NOT NULL,
    created_at bigint NOT NULL
);


--
-- Name: warehouse_batch_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.warehouse_batch_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: warehouse_batch_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.warehouse_batch_id_seq OWNED BY public.warehouse_batch.id;


--
-- Name: warehouse_event; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.warehouse_event (
    event_id uuid NOT NULL,
    batch bigint NOT NULL
);


--
-- Name: event position; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.event ALTER COLUMN "position" SET DEFAULT nextval('public.event_position_seq'::regclass);


--
-- Name: warehouse_batch id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.warehouse_batch ALTER COLUMN id SET DEFAULT nextval('public.warehouse_batch_id_seq'::regclass);


--
-- Data for Name: account; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.account VALUES ('01a221f2-a01c-735a-b4da-aa5d511dff50', 'default', 1, 'CRM-1', '01a221f2-a01c-735a-b4da-aa5d511dff50', 'active', NULL, 1795865878564312, '01a221f2-9fa7-71ab-b105-c6a3cb0af82d', NULL, '{"id":"01a221f2-a01c-735a-b4da-aa5d511dff50","version":1,"externalId":"CRM-1","name":"Acme","status":"active","currency":"EUR","billCycle":{"billCycleId":"01a221f2-9fa7-71ab-b105-c6a3cb0af82d","period":{"start":"2026-11-28","end":"2026-12-01"}},"createdAt":"2026-11-28T11:37:58.564312Z","updatedAt":"2026-11-28T11:37:58.564312Z"}');


--
-- Data for Name: adjustment; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: api_key; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.api_key VALUES ('944650a7cd0f9e14', 'default', 'admin', '944650a7cd0f9e14d5c4fb15edbffb7fa45fb9ed36a4fa9be3d7e5476ae51bd9', '*', 1795865878403910, NULL);


--
-- Data for Name: attempt; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: bill_cycle; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.bill_cycle VALUES ('01a221f2-9fa7-71ab-b105-c6a3cb0af82d', 'default', 1, 'MONTHLY-1', NULL, NULL, NULL, 1795865878443856, '{"id":"01a221f2-9fa7-71ab-b105-c6a3cb0af82d","version":1,"externalId":"MONTHLY-1","name":"Monthly","period":"month","length":1,"individual":false,"billingDay":1,"createdAt":"2026-11-28T11:37:58.443856Z","updatedAt":"2026-11-28T11:37:58.443856Z"}');


--
-- Data for Name: bill_run; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: billed_account; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: bucket; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: business_transaction; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.business_transaction VALUES ('01a221f2-9fac-7088-96c0-2c3de56024f7', 'default', 'createBillCycle', NULL, 1795865878443856, NULL, '{"id":"01a221f2-9fac-7088-96c0-2c3de56024f7","operation":"createBillCycle","occurredAt":"2026-11-28T11:37:58.443856Z","actor":"admin","entities":[{"type":"billCycle","id":"01a221f2-9fa7-71ab-b105-c6a3cb0af82d","version":1,"action":"created","after":{"id":"01a221f2-9fa7-71ab-b105-c6a3cb0af82d","version":1,"externalId":"MONTHLY-1","name":"Monthly","period":"month","length":1,"individual":false,"billingDay":1,"createdAt":"2026-11-28T11:37:58.443856Z","updatedAt":"2026-11-28T11:37:58.443856Z"}}],"events":[{"id":"01a221f2-9fac-7088-96c0-2c3e14510540","type":"bill_cycle.created"}]}');
INSERT INTO public.business_transaction VALUES ('01a221f2-9ffd-70d8-965b-f2d262abc29f', 'default', 'createWebhookEndpoint', NULL, 1795865878522069, '01a221f2-9fb0-73e2-b0d9-fecfc0882bc5', '{"id":"01a221f2-9ffd-70d8-965b-f2d262abc29f","operation":"createWebhookEndpoint","occurredAt":"2026-11-28T11:37:58.522069Z","actor":"admin","entities":[{"type":"webhookEndpoint","id":"01a221f2-9fb0-73e2-b0d9-fecfc0882bc5","version":1,"action":"created","after":{"id":"01a221f2-9fb0-73e2-b0d9-fecfc0882bc5","version":1,"name":"e","url":"https://hooks.receiver.example","enabled":true,"signing":[{"id":"01a221f2-9ff8-7606-8769-b7ab45e69454","algorithm":"hmac","createdAt":"2026-11-28T11:37:58.523873Z"}],"auth":{"type":"bearer"},"createdAt":"2026-11-28T11:37:58.523873Z"}}],"events":[]}');
INSERT INTO public.business_transaction VALUES ('01a221f2-a005-7362-8a18-37ee142c8512', 'default', 'createQueue', NULL, 1795865878531687, '01a221f2-a001-7753-8883-df212b547264', '{"id":"01a221f2-a005-7362-8a18-37ee142c8512","operation":"createQueue","occurredAt":"2026-11-28T11:37:58.531687Z","actor":"admin","entities":[{"type":"queue","id":"01a221f2-a001-7753-8883-df212b547264","version":1,"action":"created","after":{"id":"01a221f2-a001-7753-8883-df212b547264","version":1,"name":"q","mode":"in_order","eventTypes":["*"],"partitions":1,"paused":false,"createdAt":"2026-11-28T11:37:58.531687Z"}}],"events":[]}');
INSERT INTO public.business_transaction VALUES ('01a221f2-a013-7746-92fe-eaba10dd22af', 'default', 'createSubscription', NULL, 1795865878539937, '01a221f2-a009-7707-a6e8-b324ac376bef', '{"id":"01a221f2-a013-7746-92fe-eaba10dd22af","operation":"createSubscription","occurredAt":"2026-11-28T11:37:58.539937Z","actor":"admin","entities":[{"type":"subscription","id":"01a221f2-a009-7707-a6e8-b324ac376bef","version":1,"action":"created","after":{"id":"01a221f2-a009-7707-a6e8-b324ac376bef","version":1,"name":"s","queueId":"01a221f2-a001-7753-8883-df212b547264","eventTypes":[],"action":{"type":"webhook","webhookEndpointId":"01a221f2-9fb0-73e2-b0d9-fecfc0882bc5"},"whenGivenUp":"skip","enabled":true,"createdAt":"2026-11-28T11:37:58.539937Z"}}],"events":[]}');
INSERT INTO public.business_transaction VALUES ('01a221f2-a018-74d7-a892-49c8d4bd9ad8', 'default', 'pauseQueue', NULL, 1795865878552522, '01a221f2-a001-7753-8883-df212b547264', '{"id":"01a221f2-a018-74d7-a892-49c8d4bd9ad8","operation":"pauseQueue","occurredAt":"2026-11-28T11:37:58.552522Z","actor":"admin","entities":[{"type":"queue","id":"01a221f2-a001-7753-8883-df212b547264","version":2,"action":"updated","before":{"id":"01a221f2-a001-7753-8883-df212b547264","version":1,"name":"q","mode":"in_order","eventTypes":["*"],"partitions":1,"paused":false,"createdAt":"2026-11-28T11:37:58.531687Z"},"after":{"id":"01a221f2-a001-7753-8883-df212b547264","version":2,"name":"q","mode":"in_order","eventTypes":["*"],"partitions":1,"paused":true,"createdAt":"2026-11-28T11:37:58.531687Z"}}],"events":[]}');
INSERT INTO public.business_transaction VALUES ('01a221f2-a027-7350-a8d7-c1b8a42ff300', 'default', 'createAccount', '01a221f2-a01c-735a-b4da-aa5d511dff50', 1795865878564312, NULL, '{"id":"01a221f2-a027-7350-a8d7-c1b8a42ff300","operation":"createAccount","occurredAt":"2026-11-28T11:37:58.564312Z","actor":"admin","account":"01a221f2-a01c-735a-b4da-aa5d511dff50","entities":[{"type":"account","id":"01a221f2-a01c-735a-b4da-aa5d511dff50","version":1,"action":"created","after":{"id":"01a221f2-a01c-735a-b4da-aa5d511dff50","version":1,"externalId":"CRM-1","name":"Acme","status":"active","currency":"EUR","billCycle":{"billCycleId":"01a221f2-9fa7-71ab-b105-c6a3cb0af82d","period":{"start":"2026-11-28","end":"2026-12-01"}},"createdAt":"2026-11-28T11:37:58.564312Z","updatedAt":"2026-11-28T11:37:58.564312Z"}}],"events":[{"id":"01a221f2-a027-7350-a8d7-c1b942ce642c","type":"account.created"}]}');
INSERT INTO public.business_transaction VALUES ('01a221f2-a04b-7026-9363-47d1a6bba459', 'default', 'createContact', '01a221f2-a01c-735a-b4da-aa5d511dff50', 1795865878603674, NULL, '{"id":"01a221f2-a04b-7026-9363-47d1a6bba459","operation":"createContact","occurredAt":"2026-11-28T11:37:58.603674Z","actor":"admin","account":"01a221f2-a01c-735a-b4da-aa5d511dff50","entities":[{"type":"contact","id":"01a221f2-a048-739e-994f-06771a40af9a","version":1,"action":"created","after":{"id":"01a221f2-a048-739e-994f-06771a40af9a","version":1,"accountId":"01a221f2-a01c-735a-b4da-aa5d511dff50","role":"billing","name":"Ada","email":"ada@example.org","createdAt":"2026-11-28T11:37:58.603674Z","updatedAt":"2026-11-28T11:37:58.603674Z"}}],"events":[{"id":"01a221f2-a04b-7026-9363-47d2f01df3f5","type":"contact.created"}]}');
INSERT INTO public.business_transaction VALUES ('01a221f2-a063-77fe-b2ac-133021501480', 'default', 'registerEventType', NULL, 1795865878620842, '01a221f2-a05c-70b5-8b10-e8794492eba8', '{"id":"01a221f2-a063-77fe-b2ac-133021501480","operation":"registerEventType","occurredAt":"2026-11-28T11:37:58.620842Z","actor":"admin","entities":[{"type":"eventType","id":"01a221f2-a05c-70b5-8b10-e8794492eba8","version":1,"action":"created","after":{"id":"01a221f2-a05c-70b5-8b10-e8794492eba8","version":1,"name":"custom.reading","title":"Reading","orderingKey":"key","schema":{"properties":{"n":{"type":"integer"}},"type":"object"},"createdAt":"2026-11-28T11:37:58.620842Z","updatedAt":"2026-11-28T11:37:58.620842Z"}}],"events":[]}');
INSERT INTO public.business_transaction VALUES ('01a221f2-a069-76f0-b45e-218972a2d15d', 'default', 'submitEvents', NULL, 1795865878633223, NULL, '{"id":"01a221f2-a069-76f0-b45e-218972a2d15d","operation":"submitEvents","occurredAt":"2026-11-28T11:37:58.633223Z","actor":"admin","entities":[{"type":"customEvent","id":"01a221f2-a068-75fe-901c-0d5af083764f","version":1,"action":"created","after":{"n":1}}],"events":[{"id":"01a221f2-a069-76f0-b45e-218a8a78b19d","type":"custom.reading"}]}');
INSERT INTO public.business_transaction VALUES ('01a221f2-a075-74bc-be28-bfff17471ccd', 'default', 'recordChargeableEvents', '01a221f2-a01c-735a-b4da-aa5d511dff50', 1795865878644446, NULL, '{"id":"01a221f2-a075-74bc-be28-bfff17471ccd","operation":"recordChargeableEvents","occurredAt":"2026-11-28T11:37:58.644446Z","actor":"admin","account":"01a221f2-a01c-735a-b4da-aa5d511dff50","entities":[{"type":"chargeableEvent","id":"01a221f2-a06f-76c7-8538-21c45060e675","version":1,"action":"created","after":{"id":"01a221f2-a06f-76c7-8538-21c45060e675","version":1,"externalId":"C-1","accountId":"01a221f2-a01c-735a-b4da-aa5d511dff50","type":"data","quantity":"5","unit":"MB","amount":{"amount":"4.00","currency":"EUR"},"netAmount":{"amount":"4.00","currency":"EUR"},"occurredAt":"2026-01-01T00:00:00Z","state":"unbilled","createdAt":"2026-11-28T11:37:58.644446Z","updatedAt":"2026-11-28T11:37:58.644446Z"}}],"events":[{"id":"01a221f2-a075-74bc-be28-c000a84a1e4a","type":"chargeable_event.created"}]}');


--
-- Data for Name: chargeable_event; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.chargeable_event VALUES ('01a221f2-a06f-76c7-8538-21c45060e675', 'default', 1, 'C-1', '01a221f2-a01c-735a-b4da-aa5d511dff50', 'unbilled', NULL, 1795865878644446, NULL, 'data', 1767225600000000, 4000000, NULL, 'data
c-1', '{"id":"01a221f2-a06f-76c7-8538-21c45060e675","version":1,"externalId":"C-1","accountId":"01a221f2-a01c-735a-b4da-aa5d511dff50","type":"data","quantity":"5","unit":"MB","amount":{"amount":"4.00","currency":"EUR"},"netAmount":{"amount":"4.00","currency":"EUR"},"occurredAt":"2026-01-01T00:00:00Z","state":"unbilled","createdAt":"2026-11-28T11:37:58.644446Z","updatedAt":"2026-11-28T11:37:58.644446Z"}');


--
-- Data for Name: configuration; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.configuration VALUES ('01a221f2-9fb0-73e2-b0d9-fecfc0882bc5', 'default', 'webhook_endpoint', 'e', 1, 1, 1795865878523919, '{"id":"01a221f2-9fb0-73e2-b0d9-fecfc0882bc5","version":1,"name":"e","url":"https://hooks.receiver.example","enabled":true,"signing":[{"id":"01a221f2-9ff8-7606-8769-b7ab45e69454","algorithm":"hmac","createdAt":"2026-11-28T11:37:58.523873Z"}],"auth":{"type":"bearer"},"createdAt":"2026-11-28T11:37:58.523873Z"}', 'v1.a92c1220.cX3AvM8rmesauyTzjoPybNdo700SAm0DSwlXVFzuQ4Dg7T_D5yQxJsMl_hmUQ2wPRSSdXMQVPLsMQvYp.gPI2-5DsVbaiapymI8_lpu1SSG8rEJJl9Po9KDIs8NTPX06QhretHnKkcOKoR8bmfYcOVwxAPwAjIfZgojnoiLozhdBD8lSIFgiL7JBQJQmB20TNmxv8N45PjbsZQYiQ7hgEcIkxJ1g6kU6eD2J7EjDYN3KvvbrVT0trsuviQBQIBlCRcdcY0K7UUKCOIwr3eLbh7WD0265k-g');
INSERT INTO public.configuration VALUES ('01a221f2-a009-7707-a6e8-b324ac376bef', 'default', 'subscription', 's', 1, 1, 1795865878545365, '{"id":"01a221f2-a009-7707-a6e8-b324ac376bef","version":1,"name":"s","queueId":"01a221f2-a001-7753-8883-df212b547264","eventTypes":[],"action":{"type":"webhook","webhookEndpointId":"01a221f2-9fb0-73e2-b0d9-fecfc0882bc5"},"whenGivenUp":"skip","enabled":true,"createdAt":"2026-11-28T11:37:58.539937Z"}', NULL);
INSERT INTO public.configuration VALUES ('01a221f2-a001-7753-8883-df212b547264', 'default', 'queue', 'q', 2, 1, 1795865878532475, '{"id":"01a221f2-a001-7753-8883-df212b547264","version":2,"name":"q","mode":"in_order","eventTypes":["*"],"partitions":1,"paused":true,"createdAt":"2026-11-28T11:37:58.531687Z"}', NULL);
INSERT INTO public.configuration VALUES ('01a221f2-a05c-70b5-8b10-e8794492eba8', 'default', 'event_type', 'custom.reading', 1, 3, 1795865878622937, '{"id":"01a221f2-a05c-70b5-8b10-e8794492eba8","version":1,"name":"custom.reading","title":"Reading","orderingKey":"key","schema":{"properties":{"n":{"type":"integer"}},"type":"object"},"createdAt":"2026-11-28T11:37:58.620842Z","updatedAt":"2026-11-28T11:37:58.620842Z"}', NULL);


--
-- Data for Name: contact; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.contact VALUES ('01a221f2-a048-739e-994f-06771a40af9a', 'default', 1, NULL, '01a221f2-a01c-735a-b4da-aa5d511dff50', NULL, NULL, 1795865878603674, '{"id":"01a221f2-a048-739e-994f-06771a40af9a","version":1,"accountId":"01a221f2-a01c-735a-b4da-aa5d511dff50","role":"billing","name":"Ada","email":"ada@example.org","createdAt":"2026-11-28T11:37:58.603674Z","updatedAt":"2026-11-28T11:37:58.603674Z"}');


--
-- Data for Name: contract; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: credit; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: delivery; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: event; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.event VALUES (1, '01a221f2-9fac-7088-96c0-2c3e14510540', 'default', '01a221f2-9fa7-71ab-b105-c6a3cb0af82d', 1, 'bill_cycle.created', '01a221f2-9fa7-71ab-b105-c6a3cb0af82d', '01a221f2-9fac-7088-96c0-2c3de56024f7', 1795865878443856, 1795865878444892, '{"specversion":"1.0","id":"01a221f2-9fac-7088-96c0-2c3e14510540","source":"/tenants/default","type":"bill_cycle.created","subject":"01a221f2-9fa7-71ab-b105-c6a3cb0af82d","time":"2026-11-28T11:37:58.443856Z","datacontenttype":"application/json","dataschema":"urn:billwire:bill_cycle.created:v1","partitionkey":"01a221f2-9fa7-71ab-b105-c6a3cb0af82d","sequence":"00000000000000000001","transactionid":"01a221f2-9fac-7088-96c0-2c3de56024f7","data":{"object":{"type":"billCycle","id":"01a221f2-9fa7-71ab-b105-c6a3cb0af82d","version":1,"action":"created"},"after":{"id":"01a221f2-9fa7-71ab-b105-c6a3cb0af82d","version":1,"externalId":"MONTHLY-1","name":"Monthly","period":"month","length":1,"individual":false,"billingDay":1,"createdAt":"2026-11-28T11:37:58.443856Z","updatedAt":"2026-11-28T11:37:58.443856Z"},"parameters":{"billCycle.externalId":"MONTHLY-1","billCycle.id":"01a221f2-9fa7-71ab-b105-c6a3cb0af82d","billCycle.name":"Monthly","billCycle.period":"month","current.date":"2026-11-28","current.dateTime":"2026-11-28T11:37:58Z","current.time":"11:37:58","event.name":"Bill Cycle Created","event.type":"bill_cycle.created","tenant.name":"default"}}}', NULL);
INSERT INTO public.event VALUES (2, '01a221f2-a027-7350-a8d7-c1b942ce642c', 'default', '01a221f2-a01c-735a-b4da-aa5d511dff50', 1, 'account.created', '01a221f2-a01c-735a-b4da-aa5d511dff50', '01a221f2-a027-7350-a8d7-c1b8a42ff300', 1795865878564312, 1795865878567941, '{"specversion":"1.0","id":"01a221f2-a027-7350-a8d7-c1b942ce642c","source":"/tenants/default","type":"account.created","subject":"01a221f2-a01c-735a-b4da-aa5d511dff50","time":"2026-11-28T11:37:58.564312Z","datacontenttype":"application/json","dataschema":"urn:billwire:account.created:v1","partitionkey":"01a221f2-a01c-735a-b4da-aa5d511dff50","sequence":"00000000000000000001","transactionid":"01a221f2-a027-7350-a8d7-c1b8a42ff300","data":{"object":{"type":"account","id":"01a221f2-a01c-735a-b4da-aa5d511dff50","version":1,"action":"created"},"after":{"id":"01a221f2-a01c-735a-b4da-aa5d511dff50","version":1,"externalId":"CRM-1","name":"Acme","status":"active","currency":"EUR","billCycle":{"billCycleId":"01a221f2-9fa7-71ab-b105-c6a3cb0af82d","period":{"start":"2026-11-28","end":"2026-12-01"}},"createdAt":"2026-11-28T11:37:58.564312Z","updatedAt":"2026-11-28T11:37:58.564312Z"},"parameters":{"account.billCycle":"01a221f2-9fa7-71ab-b105-c6a3cb0af82d","account.currency":"EUR","account.externalId":"CRM-1","account.id":"01a221f2-a01c-735a-b4da-aa5d511dff50","account.name":"Acme","account.periodEnd":"2026-12-01","account.periodStart":"2026-11-28","account.status":"active","current.date":"2026-11-28","current.dateTime":"2026-11-28T11:37:58Z","current.time":"11:37:58","event.name":"Account Created","event.type":"account.created","tenant.name":"default"}}}', NULL);
INSERT INTO public.event VALUES (3, '01a221f2-a04b-7026-9363-47d2f01df3f5', 'default', '01a221f2-a01c-735a-b4da-aa5d511dff50', 2, 'contact.created', '01a221f2-a048-739e-994f-06771a40af9a', '01a221f2-a04b-7026-9363-47d1a6bba459', 1795865878603674, 1795865878607366, '{"specversion":"1.0","id":"01a221f2-a04b-7026-9363-47d2f01df3f5","source":"/tenants/default","type":"contact.created","subject":"01a221f2-a048-739e-994f-06771a40af9a","time":"2026-11-28T11:37:58.603674Z","datacontenttype":"application/json","dataschema":"urn:billwire:contact.created:v1","partitionkey":"01a221f2-a01c-735a-b4da-aa5d511dff50","sequence":"00000000000000000002","transactionid":"01a221f2-a04b-7026-9363-47d1a6bba459","data":{"object":{"type":"contact","id":"01a221f2-a048-739e-994f-06771a40af9a","version":1,"action":"created"},"after":{"id":"01a221f2-a048-739e-994f-06771a40af9a","version":1,"accountId":"01a221f2-a01c-735a-b4da-aa5d511dff50","role":"billing","name":"Ada","email":"ada@example.org","createdAt":"2026-11-28T11:37:58.603674Z","updatedAt":"2026-11-28T11:37:58.603674Z"},"parameters":{"account.billCycle":"01a221f2-9fa7-71ab-b105-c6a3cb0af82d","account.currency":"EUR","account.externalId":"CRM-1","account.id":"01a221f2-a01c-735a-b4da-aa5d511dff50","account.name":"Acme","account.periodEnd":"2026-12-01","account.periodStart":"2026-11-28","account.status":"active","current.date":"2026-11-28","current.dateTime":"2026-11-28T11:37:58Z","current.time":"11:37:58","event.name":"Contact Created","event.type":"contact.created","tenant.name":"default"}}}', '{"contact.email":"ada@example.org","contact.id":"01a221f2-a048-739e-994f-06771a40af9a","contact.name":"Ada","contact.role":"billing"}');
INSERT INTO public.event VALUES (4, '01a221f2-a069-76f0-b45e-218a8a78b19d', 'default', 'k', 1, 'custom.reading', '01a221f2-a068-75fe-901c-0d5af083764f', '01a221f2-a069-76f0-b45e-218972a2d15d', 1795865878633223, 1795865878633470, '{"specversion":"1.0","id":"01a221f2-a069-76f0-b45e-218a8a78b19d","source":"/tenants/default","type":"custom.reading","subject":"01a221f2-a068-75fe-901c-0d5af083764f","time":"2026-11-28T11:37:58.633223Z","datacontenttype":"application/json","dataschema":"urn:billwire:custom.reading:v1","partitionkey":"k","sequence":"00000000000000000001","transactionid":"01a221f2-a069-76f0-b45e-218972a2d15d","data":{"object":{"type":"customEvent","id":"01a221f2-a068-75fe-901c-0d5af083764f","version":1,"action":"created"},"after":{"n":1},"parameters":{"current.date":"2026-11-28","current.dateTime":"2026-11-28T11:37:58Z","current.time":"11:37:58","data.n":1,"event.name":"Reading","event.type":"custom.reading","tenant.name":"default"}}}', NULL);
INSERT INTO public.event VALUES (5, '01a221f2-a075-74bc-be28-c000a84a1e4a', 'default', '01a221f2-a01c-735a-b4da-aa5d511dff50', 3, 'chargeable_event.created', '01a221f2-a06f-76c7-8538-21c45060e675', '01a221f2-a075-74bc-be28-bfff17471ccd', 1795865878644446, 1795865878647464, '{"specversion":"1.0","id":"01a221f2-a075-74bc-be28-c000a84a1e4a","source":"/tenants/default","type":"chargeable_event.created","subject":"01a221f2-a06f-76c7-8538-21c45060e675","time":"2026-11-28T11:37:58.644446Z","datacontenttype":"application/json","dataschema":"urn:billwire:chargeable_event.created:v1","partitionkey":"01a221f2-a01c-735a-b4da-aa5d511dff50","sequence":"00000000000000000003","transactionid":"01a221f2-a075-74bc-be28-bfff17471ccd","data":{"object":{"type":"chargeableEvent","id":"01a221f2-a06f-76c7-8538-21c45060e675","version":1,"action":"created"},"after":{"id":"01a221f2-a06f-76c7-8538-21c45060e675","version":1,"externalId":"C-1","accountId":"01a221f2-a01c-735a-b4da-aa5d511dff50","type":"data","quantity":"5","unit":"MB","amount":{"amount":"4.00","currency":"EUR"},"netAmount":{"amount":"4.00","currency":"EUR"},"occurredAt":"2026-01-01T00:00:00Z","state":"unbilled","createdAt":"2026-11-28T11:37:58.644446Z","updatedAt":"2026-11-28T11:37:58.644446Z"},"parameters":{"account.billCycle":"01a221f2-9fa7-71ab-b105-c6a3cb0af82d","account.currency":"EUR","account.externalId":"CRM-1","account.id":"01a221f2-a01c-735a-b4da-aa5d511dff50","account.name":"Acme","account.periodEnd":"2026-12-01","account.periodStart":"2026-11-28","account.status":"active","chargeableEvent.amount":"4.00","chargeableEvent.currency":"EUR","chargeableEvent.externalId":"C-1","chargeableEvent.id":"01a221f2-a06f-76c7-8538-21c45060e675","chargeableEvent.netAmount":"4.00","chargeableEvent.occurredAt":"2026-01-01T00:00:00Z","chargeableEvent.quantity":"5","chargeableEvent.state":"unbilled","chargeableEvent.type":"data","chargeableEvent.unit":"MB","current.date":"2026-11-28","current.dateTime":"2026-11-28T11:37:58Z","current.time":"11:37:58","event.name":"Chargeable Event Created","event.type":"chargeable_event.created","tenant.name":"default"}}}', NULL);


--
-- Data for Name: health; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: idempotency; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: invoice; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: lease; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.lease VALUES ('relay', '29007-01a221f2-a008-775f-99eb-b8dbeb114ea0', 1, 0);
INSERT INTO public.lease VALUES ('replays', '29007-01a221f2-a008-775f-99eb-b8dc9ed66296', 1, 0);
INSERT INTO public.lease VALUES ('bill-runs', '29007-01a221f2-9f97-7748-bc6f-35fb611727e9', 1, 0);
INSERT INTO public.lease VALUES ('warehouse', '29007-01a221f2-9f7c-77a1-a64d-9ed49f40117a', 1, 0);
INSERT INTO public.lease VALUES ('queue-01a221f2-a001-7753-8883-df212b547264-0of1', '29007-01a221f2-9f7c-77a1-a64d-9ed49f40117a', 1, 0);


--
-- Data for Name: ordering_key; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.ordering_key VALUES ('default', '01a221f2-9fa7-71ab-b105-c6a3cb0af82d', 1);
INSERT INTO public.ordering_key VALUES ('default', 'configuration', 5);
INSERT INTO public.ordering_key VALUES ('default', 'k', 1);
INSERT INTO public.ordering_key VALUES ('default', '01a221f2-a01c-735a-b4da-aa5d511dff50', 3);


--
-- Data for Name: outbox; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: package; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: package_subscription; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: payment; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: queue_progress; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: recipient; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: refund; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: replay; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: seaql_migrations; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.seaql_migrations VALUES ('m0001_start', 1795865878);


--
-- Data for Name: service; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: setting; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.setting VALUES ('stream_epoch', '01a221f2-9ffc-758d-8210-939ac5d5ae3d');
INSERT INTO public.setting VALUES ('stream_last_sequence', '5');


--
-- Data for Name: usage_identifier; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: warehouse_batch; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.warehouse_batch VALUES (1, true, 1795865880570884);


--
-- Data for Name: warehouse_event; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.warehouse_event VALUES ('01a221f2-9fac-7088-96c0-2c3e14510540', 1);
INSERT INTO public.warehouse_event VALUES ('01a221f2-a027-7350-a8d7-c1b942ce642c', 1);
INSERT INTO public.warehouse_event VALUES ('01a221f2-a04b-7026-9363-47d2f01df3f5', 1);
INSERT INTO public.warehouse_event VALUES ('01a221f2-a069-76f0-b45e-218a8a78b19d', 1);
INSERT INTO public.warehouse_event VALUES ('01a221f2-a075-74bc-be28-c000a84a1e4a', 1);


--
-- Name: event_position_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.event_position_seq', 5, true);


--
-- Name: warehouse_batch_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.warehouse_batch_id_seq', 1, true);


--
-- Name: account account_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.account
    ADD CONSTRAINT account_pkey PRIMARY KEY (id);


--
-- Name: adjustment adjustment_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.adjustment
    ADD CONSTRAINT adjustment_pkey PRIMARY KEY (id);


--
-- Name: api_key api_key_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.api_key
    ADD CONSTRAINT api_key_pkey PRIMARY KEY (id);


--
-- Name: attempt attempt_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.attempt
    ADD CONSTRAINT attempt_pkey PRIMARY KEY (delivery_id, number);


--
-- Name: bill_cycle bill_cycle_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.bill_cycle
    ADD CONSTRAINT bill_cycle_pkey PRIMARY KEY (id);


--
-- Name: bill_run bill_run_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.bill_run
    ADD CONSTRAINT bill_run_pkey PRIMARY KEY (id);


--
-- Name: billed_account billed_account_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.billed_account
    ADD CONSTRAINT billed_account_pkey PRIMARY KEY (run_id, account_id);


--
-- Name: bucket bucket_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.bucket
    ADD CONSTRAINT bucket_pkey PRIMARY KEY (id);


--
-- Name: business_transaction business_transaction_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.business_transaction
    ADD CONSTRAINT business_transaction_pkey PRIMARY KEY (id);


--
-- Name: chargeable_event chargeable_event_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.chargeable_event
    ADD CONSTRAINT chargeable_event_pkey PRIMARY KEY (id);


--
-- Name: configuration configuration_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.configuration
    ADD CONSTRAINT configuration_pkey PRIMARY KEY (id);


--
-- Name: contact contact_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.contact
    ADD CONSTRAINT contact_pkey PRIMARY KEY (id);


--
-- Name: contract contract_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.contract
    ADD CONSTRAINT contract_pkey PRIMARY KEY (id);


--
-- Name: credit credit_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.credit
    ADD CONSTRAINT credit_pkey PRIMARY KEY (id);


--
-- Name: delivery delivery_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.delivery
    ADD CONSTRAINT delivery_pkey PRIMARY KEY (id);


--
-- Name: event event_id_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.event
    ADD CONSTRAINT event_id_key UNIQUE (id);


--
-- Name: event event_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.event
    ADD CONSTRAINT event_pkey PRIMARY KEY ("position");


--
-- Name: event event_tenant_ordering_key_sequence_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.event
    ADD CONSTRAINT event_tenant_ordering_key_sequence_key UNIQUE (tenant, ordering_key, sequence);


--
-- Name: health health_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.health
    ADD CONSTRAINT health_pkey PRIMARY KEY (target_id);


--
-- Name: idempotency idempotency_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.idempotency
    ADD CONSTRAINT idempotency_pkey PRIMARY KEY (tenant, key);


--
-- Name: invoice invoice_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.invoice
    ADD CONSTRAINT invoice_pkey PRIMARY KEY (id);


--
-- Name: lease lease_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.lease
    ADD CONSTRAINT lease_pkey PRIMARY KEY (name);


--
-- Name: ordering_key ordering_key_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.ordering_key
    ADD CONSTRAINT ordering_key_pkey PRIMARY KEY (tenant, key);


--
-- Name: outbox outbox_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.outbox
    ADD CONSTRAINT outbox_pkey PRIMARY KEY ("position");


--
-- Name: package package_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.package
    ADD CONSTRAINT package_pkey PRIMARY KEY (id);


--
-- Name: package_subscription package_subscription_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.package_subscription
    ADD CONSTRAINT package_subscription_pkey PRIMARY KEY (id);


--
-- Name: payment payment_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.payment
    ADD CONSTRAINT payment_pkey PRIMARY KEY (id);


--
-- Name: queue_progress queue_progress_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.queue_progress
    ADD CONSTRAINT queue_progress_pkey PRIMARY KEY (queue_id, partition);


--
-- Name: recipient recipient_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.recipient
    ADD CONSTRAINT recipient_pkey PRIMARY KEY (delivery_id, address);


--
-- Name: refund refund_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.refund
    ADD CONSTRAINT refund_pkey PRIMARY KEY (id);


--
-- Name: replay replay_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.replay
    ADD CONSTRAINT replay_pkey PRIMARY KEY (id);


--
-- Name: seaql_migrations seaql_migrations_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.seaql_migrations
    ADD CONSTRAINT seaql_migrations_pkey PRIMARY KEY (version);


--
-- Name: service service_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.service
    ADD CONSTRAINT service_pkey PRIMARY KEY (id);


--
-- Name: setting setting_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.setting
    ADD CONSTRAINT setting_pkey PRIMARY KEY (key);


--
-- Name: usage_identifier usage_identifier_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.usage_identifier
    ADD CONSTRAINT usage_identifier_pkey PRIMARY KEY (id);


--
-- Name: warehouse_batch warehouse_batch_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.warehouse_batch
    ADD CONSTRAINT warehouse_batch_pkey PRIMARY KEY (id);


--
-- Name: warehouse_event warehouse_event_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.warehouse_event
    ADD CONSTRAINT warehouse_event_pkey PRIMARY KEY (event_id);


--
-- Name: account_account; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX account_account ON public.account USING btree (account_id, id) WHERE (account_id IS NOT NULL);


--
-- Name: account_cycle; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX account_cycle ON public.account USING btree (tenant, bill_cycle_id, id);


--
-- Name: account_due; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX account_due ON public.account USING btree (due_at) WHERE (due_at IS NOT NULL);


--
-- Name: account_external_id; Type: INDEX; Schema: public; Owner: -
--

CREATE UNIQUE INDEX account_external_id ON public.account USING btree (tenant, external_id) WHERE (external_id IS NOT NULL);


--
-- Name: account_list; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX account_list ON public.account USING btree (tenant, id);


--
-- Name: account_planned_cycle; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX account_planned_cycle ON public.account USING btree (planned_bill_cycle_id);


--
-- Name: adjustment_account; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX adjustment_account ON public.adjustment USING btree (account_id, id) WHERE (account_id IS NOT NULL);


--
-- Name: adjustment_charge; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX adjustment_charge ON public.adjustment USING btree (chargeable_event_id);


--
-- Name: adjustment_due; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX adjustment_due ON public.adjustment USING btree (due_at) WHERE (due_at IS NOT NULL);


--
-- Name: adjustment_external_id; Type: INDEX; Schema: public; Owner: -
--

CREATE UNIQUE INDEX adjustment_external_id ON public.adjustment USING btree (tenant, external_id) WHERE (external_id IS NOT NULL);


--
-- Name: adjustment_invoice; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX adjustment_invoice ON public.adjustment USING btree (invoice_id) WHERE (invoice_id IS NOT NULL);


--
-- Name: adjustment_list; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX adjustment_list ON public.adjustment USING btree (tenant, id);


--
-- Name: adjustment_pending; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX adjustment_pending ON public.adjustment USING btree (account_id) WHERE (status = 'pending'::text);


--
-- Name: bill_cycle_account; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX bill_cycle_account ON public.bill_cycle USING btree (account_id, id) WHERE (account_id IS NOT NULL);


--
-- Name: bill_cycle_due; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX bill_cycle_due ON public.bill_cycle USING btree (due_at) WHERE (due_at IS NOT NULL);


--
-- Name: bill_cycle_external_id; Type: INDEX; Schema: public; Owner: -
--

CREATE UNIQUE INDEX bill_cycle_external_id ON public.bill_cycle USING btree (tenant, external_id) WHERE (external_id IS NOT NULL);


--
-- Name: bill_cycle_list; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX bill_cycle_list ON public.bill_cycle USING btree (tenant, id);


--
-- Name: bill_run_account; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX bill_run_account ON public.bill_run USING btree (account_id, id) WHERE (account_id IS NOT NULL);


--
-- Name: bill_run_cycle; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX bill_run_cycle ON public.bill_run USING btree (bill_cycle_id, id);


--
-- Name: bill_run_due; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX bill_run_due ON public.bill_run USING btree (due_at) WHERE (due_at IS NOT NULL);


--
-- Name: bill_run_external_id; Type: INDEX; Schema: public; Owner: -
--

CREATE UNIQUE INDEX bill_run_external_id ON public.bill_run USING btree (tenant, external_id) WHERE (external_id IS NOT NULL);


--
-- Name: bill_run_list; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX bill_run_list ON public.bill_run USING btree (tenant, id);


--
-- Name: bill_run_running; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX bill_run_running ON public.bill_run USING btree (id) WHERE (status = 'running'::text);


--
-- Name: bucket_account; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX bucket_account ON public.bucket USING btree (account_id, id) WHERE (account_id IS NOT NULL);


--
-- Name: bucket_due; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX bucket_due ON public.bucket USING btree (due_at) WHERE (due_at IS NOT NULL);


--
-- Name: bucket_external_id; Type: INDEX; Schema: public; Owner: -
--

CREATE UNIQUE INDEX bucket_external_id ON public.bucket USING btree (tenant, external_id) WHERE (external_id IS NOT NULL);


--
-- Name: bucket_list; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX bucket_list ON public.bucket USING btree (tenant, id);


--
-- Name: bucket_service; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX bucket_service ON public.bucket USING btree (service_id);


--
-- Name: business_transaction_account; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX business_transaction_account ON public.business_transaction USING btree (account_id, occurred_at, id) WHERE (account_id IS NOT NULL);


--
-- Name: business_transaction_object; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX business_transaction_object ON public.business_transaction USING btree (tenant, object_id) WHERE (object_id IS NOT NULL);


--
-- Name: business_transaction_operation; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX business_transaction_operation ON public.business_transaction USING btree (tenant, operation, occurred_at, id);


--
-- Name: business_transaction_time; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX business_transaction_time ON public.business_transaction USING btree (tenant, occurred_at, id);


--
-- Name: chargeable_event_account; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX chargeable_event_account ON public.chargeable_event USING btree (account_id, id) WHERE (account_id IS NOT NULL);


--
-- Name: chargeable_event_due; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX chargeable_event_due ON public.chargeable_event USING btree (due_at) WHERE (due_at IS NOT NULL);


--
-- Name: chargeable_event_external_id; Type: INDEX; Schema: public; Owner: -
--

CREATE UNIQUE INDEX chargeable_event_external_id ON public.chargeable_event USING btree (tenant, external_id) WHERE (external_id IS NOT NULL);


--
-- Name: chargeable_event_invoice; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX chargeable_event_invoice ON public.chargeable_event USING btree (invoice_id) WHERE (invoice_id IS NOT NULL);


--
-- Name: chargeable_event_list; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX chargeable_event_list ON public.chargeable_event USING btree (tenant, id);


--
-- Name: chargeable_event_occurred; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX chargeable_event_occurred ON public.chargeable_event USING btree (tenant, occurred_at, id);


--
-- Name: chargeable_event_service; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX chargeable_event_service ON public.chargeable_event USING btree (service_id) WHERE (service_id IS NOT NULL);


--
-- Name: chargeable_event_unbilled; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX chargeable_event_unbilled ON public.chargeable_event USING btree (account_id, occurred_at) WHERE (invoice_id IS NULL);


--
-- Name: configuration_name; Type: INDEX; Schema: public; Owner: -
--

CREATE UNIQUE INDEX configuration_name ON public.configuration USING btree (tenant, kind, name);


--
-- Name: contact_account; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX contact_account ON public.contact USING btree (account_id, id) WHERE (account_id IS NOT NULL);


--
-- Name: contact_due; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX contact_due ON public.contact USING btree (due_at) WHERE (due_at IS NOT NULL);


--
-- Name: contact_external_id; Type: INDEX; Schema: public; Owner: -
--

CREATE UNIQUE INDEX contact_external_id ON public.contact USING btree (tenant, external_id) WHERE (external_id IS NOT NULL);


--
-- Name: contact_list; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX contact_list ON public.contact USING btree (tenant, id);


--
-- Name: contract_account; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX contract_account ON public.contract USING btree (account_id, id) WHERE (account_id IS NOT NULL);


--
-- Name: contract_due; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX contract_due ON public.contract USING btree (due_at) WHERE (due_at IS NOT NULL);


--
-- Name: contract_external_id; Type: INDEX; Schema: public; Owner: -
--

CREATE UNIQUE INDEX contract_external_id ON public.contract USING btree (tenant, external_id) WHERE (external_id IS NOT NULL);


--
-- Name: contract_list; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX contract_list ON public.contract USING btree (tenant, id);


--
-- Name: credit_account; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX credit_account ON public.credit USING btree (account_id, id) WHERE (account_id IS NOT NULL);


--
-- Name: credit_due; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX credit_due ON public.credit USING btree (due_at) WHERE (due_at IS NOT NULL);


--
-- Name: credit_external_id; Type: INDEX; Schema: public; Owner: -
--

CREATE UNIQUE INDEX credit_external_id ON public.credit USING btree (tenant, external_id) WHERE (external_id IS NOT NULL);


--
-- Name: credit_list; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX credit_list ON public.credit USING btree (tenant, id);


--
-- Name: credit_remaining; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX credit_remaining ON public.credit USING btree (account_id) WHERE (remaining > 0);


--
-- Name: delivery_dead; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX delivery_dead ON public.delivery USING btree (tenant, created_at, id) WHERE (state = ANY (ARRAY['dead'::text, 'blocking'::text]));


--
-- Name: delivery_due; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX delivery_due ON public.delivery USING btree (queue_id, partition, lane_id, next_attempt_at) WHERE (state = 'waiting'::text);


--
-- Name: delivery_given_up; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX delivery_given_up ON public.delivery USING btree (lane_id) WHERE (state = ANY (ARRAY['dead'::text, 'blocking'::text, 'discarded'::text]));


--
-- Name: delivery_lane; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX delivery_lane ON public.delivery USING btree (lane_id, ordering_key, sequence) WHERE (state = ANY (ARRAY['waiting'::text, 'blocking'::text]));


--
-- Name: delivery_list; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX delivery_list ON public.delivery USING btree (tenant, created_at, id);


--
-- Name: event_kind; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX event_kind ON public.event USING btree (tenant, kind, occurred_at, id);


--
-- Name: event_object; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX event_object ON public.event USING btree (tenant, object_id);


--
-- Name: event_time; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX event_time ON public.event USING btree (tenant, occurred_at, id);


--
-- Name: event_transaction; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX event_transaction ON public.event USING btree (transaction_id);


--
-- Name: idempotency_age; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX idempotency_age ON public.idempotency USING btree (created_at);


--
-- Name: invoice_account; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX invoice_account ON public.invoice USING btree (account_id, id) WHERE (account_id IS NOT NULL);


--
-- Name: invoice_due; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX invoice_due ON public.invoice USING btree (due_at) WHERE (due_at IS NOT NULL);


--
-- Name: invoice_external_id; Type: INDEX; Schema: public; Owner: -
--

CREATE UNIQUE INDEX invoice_external_id ON public.invoice USING btree (tenant, external_id) WHERE (external_id IS NOT NULL);


--
-- Name: invoice_list; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX invoice_list ON public.invoice USING btree (tenant, id);


--
-- Name: invoice_overdue; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX invoice_overdue ON public.invoice USING btree (tenant, id) WHERE (overdue_since IS NOT NULL);


--
-- Name: invoice_run; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX invoice_run ON public.invoice USING btree (bill_run_id, id) WHERE (bill_run_id IS NOT NULL);


--
-- Name: ordering_key_configuration; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ordering_key_configuration ON public.ordering_key USING btree (key) WHERE (key = 'configuration'::text);


--
-- Name: package_account; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX package_account ON public.package USING btree (account_id, id) WHERE (account_id IS NOT NULL);


--
-- Name: package_due; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX package_due ON public.package USING btree (due_at) WHERE (due_at IS NOT NULL);


--
-- Name: package_external_id; Type: INDEX; Schema: public; Owner: -
--

CREATE UNIQUE INDEX package_external_id ON public.package USING btree (tenant, external_id) WHERE (external_id IS NOT NULL);


--
-- Name: package_list; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX package_list ON public.package USING btree (tenant, id);


--
-- Name: package_subscription_account; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX package_subscription_account ON public.package_subscription USING btree (account_id, id) WHERE (account_id IS NOT NULL);


--
-- Name: package_subscription_due; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX package_subscription_due ON public.package_subscription USING btree (due_at) WHERE (due_at IS NOT NULL);


--
-- Name: package_subscription_external_id; Type: INDEX; Schema: public; Owner: -
--

CREATE UNIQUE INDEX package_subscription_external_id ON public.package_subscription USING btree (tenant, external_id) WHERE (external_id IS NOT NULL);


--
-- Name: package_subscription_list; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX package_subscription_list ON public.package_subscription USING btree (tenant, id);


--
-- Name: package_subscription_package; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX package_subscription_package ON public.package_subscription USING btree (package_id, id);


--
-- Name: payment_account; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX payment_account ON public.payment USING btree (account_id, id) WHERE (account_id IS NOT NULL);


--
-- Name: payment_due; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX payment_due ON public.payment USING btree (due_at) WHERE (due_at IS NOT NULL);


--
-- Name: payment_external_id; Type: INDEX; Schema: public; Owner: -
--

CREATE UNIQUE INDEX payment_external_id ON public.payment USING btree (tenant, external_id) WHERE (external_id IS NOT NULL);


--
-- Name: payment_list; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX payment_list ON public.payment USING btree (tenant, id);


--
-- Name: refund_account; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX refund_account ON public.refund USING btree (account_id, id) WHERE (account_id IS NOT NULL);


--
-- Name: refund_due; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX refund_due ON public.refund USING btree (due_at) WHERE (due_at IS NOT NULL);


--
-- Name: refund_external_id; Type: INDEX; Schema: public; Owner: -
--

CREATE UNIQUE INDEX refund_external_id ON public.refund USING btree (tenant, external_id) WHERE (external_id IS NOT NULL);


--
-- Name: refund_list; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX refund_list ON public.refund USING btree (tenant, id);


--
-- Name: refund_payment; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX refund_payment ON public.refund USING btree (payment_id);


--
-- Name: replay_collecting; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX replay_collecting ON public.replay USING btree (id) WHERE (state = 'collecting'::text);


--
-- Name: replay_list; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX replay_list ON public.replay USING btree (tenant, created_at, id);


--
-- Name: service_account; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX service_account ON public.service USING btree (account_id, id) WHERE (account_id IS NOT NULL);


--
-- Name: service_due; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX service_due ON public.service USING btree (due_at) WHERE (due_at IS NOT NULL);


--
-- Name: service_external_id; Type: INDEX; Schema: public; Owner: -
--

CREATE UNIQUE INDEX service_external_id ON public.service USING btree (tenant, external_id) WHERE (external_id IS NOT NULL);


--
-- Name: service_list; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX service_list ON public.service USING btree (tenant, id);


--
-- Name: service_subscription; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX service_subscription ON public.service USING btree (package_subscription_id, id);


--
-- Name: usage_identifier_account; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX usage_identifier_account ON public.usage_identifier USING btree (account_id, id) WHERE (account_id IS NOT NULL);


--
-- Name: usage_identifier_due; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX usage_identifier_due ON public.usage_identifier USING btree (due_at) WHERE (due_at IS NOT NULL);


--
-- Name: usage_identifier_external_id; Type: INDEX; Schema: public; Owner: -
--

CREATE UNIQUE INDEX usage_identifier_external_id ON public.usage_identifier USING btree (tenant, external_id) WHERE (external_id IS NOT NULL);


--
-- Name: usage_identifier_list; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX usage_identifier_list ON public.usage_identifier USING btree (tenant, id);


--
-- Name: usage_identifier_service; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX usage_identifier_service ON public.usage_identifier USING btree (service_id);


--
-- Name: usage_identifier_value; Type: INDEX; Schema: public; Owner: -
--

CREATE UNIQUE INDEX usage_identifier_value ON public.usage_identifier USING btree (tenant, kind, value);


--
-- Name: warehouse_batch_open; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX warehouse_batch_open ON public.warehouse_batch USING btree (id) WHERE (NOT written);


--
-- Name: warehouse_event_batch; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX warehouse_event_batch ON public.warehouse_event USING btree (batch);


--
-- Name: account account_bill_cycle_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.account
    ADD CONSTRAINT account_bill_cycle_id_fkey FOREIGN KEY (bill_cycle_id) REFERENCES public.bill_cycle(id);


--
-- Name: account account_planned_bill_cycle_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.account
    ADD CONSTRAINT account_planned_bill_cycle_id_fkey FOREIGN KEY (planned_bill_cycle_id) REFERENCES public.bill_cycle(id);


--
-- Name: bill_run bill_run_bill_cycle_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.bill_run
    ADD CONSTRAINT bill_run_bill_cycle_id_fkey FOREIGN KEY (bill_cycle_id) REFERENCES public.bill_cycle(id);


--
-- Name: package_subscription package_subscription_package_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.package_subscription
    ADD CONSTRAINT package_subscription_package_id_fkey FOREIGN KEY (package_id) REFERENCES public.package(id);


--
-- PostgreSQL database dump complete
--


