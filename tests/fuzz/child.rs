//! The process that runs inputs: saves each as the API does, and uses it as previews and deliveries do. It answers a line for a line.

use std::{
    io::{BufRead, BufReader, Write},
    process::{ChildStdin, Command, Stdio},
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, channel},
    },
    thread,
};

use billwire_app::{
    App, Caller, DeleteEventType, RegisterEventType, RequestContext,
    domain::{
        access::grant::Grant,
        events::custom_event_type::{Register, Submit},
    },
};
use billwire_delivery::payload;
use billwire_schemas::{
    clock::ShiftedClock,
    destination,
    events::size::VALUES_MAX,
    expression::{Expression, Scope},
    ids::{CustomEventId, EventTypeId, TenantId, fresh},
    template::{Reading, Template},
};
use billwire_store::{Options, Store, secrets::Sealer};
use billwire_tests::Folder;
use billwire_webhook::request;
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Map, Value, json};
use url::Url;

use crate::{
    DEADLINE, MEMORY,
    input::{Failure, Input, Outcome},
};

/// The stack of the threads that accept requests and deliver.
const STACK_BYTES: usize = 2 * 1024 * 1024;

/// A running child.
pub struct Child {
    process: std::process::Child,
    inputs: ChildStdin,
    outcomes: Receiver<Outcome>,
}

impl Child {
    pub fn start() -> Self {
        let program = std::env::current_exe().expect("this program");
        let mut process =
            Command::new(program).arg("child").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("a child");
        let (inputs, answers) = (process.stdin.take().expect("piped"), process.stdout.take().expect("piped"));
        let (send, outcomes) = channel();
        thread::spawn(move || {
            for line in BufReader::new(answers).lines().map_while(Result::ok) {
                let _ = send.send(serde_json::from_str(&line).expect("an outcome"));
            }
        });
        Self { process, inputs, outcomes }
    }

    /// Runs one input; a child that fails is replaced.
    pub fn run(&mut self, input: &Input) -> Result<Outcome, Failure> {
        let line = serde_json::to_string(input).expect("JSON");
        let sent = writeln!(self.inputs, "{line}").and_then(|()| self.inputs.flush());
        let failure = match self.outcomes.recv_timeout(DEADLINE) {
            Ok(outcome) if sent.is_ok() => return Ok(outcome),
            Err(RecvTimeoutError::Timeout) => Failure::Hangs,
            _ => Failure::Aborts(self.process.wait().map_or_else(|error| error.to_string(), |status| status.to_string())),
        };
        let _ = self.process.kill();
        let _ = self.process.wait();
        *self = Self::start();
        Err(failure)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Answers inputs until there are no more.
pub fn serve() {
    let serving = thread::Builder::new().stack_size(STACK_BYTES).spawn(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).thread_stack_size(STACK_BYTES).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let folder = Folder::new("fuzz");
        let app = runtime.block_on(app(&folder));
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            let input: Input = serde_json::from_str(&line).expect("an input");
            drop(line);
            let (before, began) = (MEMORY.current_usage(), processor_seconds());
            MEMORY.reset_peak_usage();
            let accepted = match &input {
                Input::Template { template, offered, .. } => of_template(template, offered),
                Input::Expression { parameters, event } => of_expressions(parameters, event),
                Input::Schema { schema, next, data } => runtime.block_on(of_schema(&app, schema, next, data)),
                Input::Path { path, base, parameters } => of_path(path, base, parameters),
            };
            let bytes = MEMORY.peak_usage().saturating_sub(before);
            let outcome = Outcome { accepted, seconds: processor_seconds() - began, bytes };
            println!("{}", serde_json::to_string(&outcome).expect("JSON"));
        }
    });
    serving.expect("a thread").join().expect("no panic");
}

/// The use cases over a database of their own.
async fn app(folder: &Folder) -> App {
    let master = Sealer::fresh_master_key().expect("a key");
    let url = format!("sqlite://{}", folder.0.join("billwire.db").display());
    let store = Store::open(Options::new(url), Sealer::new([master.as_str()]).expect("a sealer")).await.expect("a store");
    App::new(store, Arc::new(ShiftedClock::default()), false)
}

fn processor_seconds() -> f64 {
    let spent = clock_gettime(ClockId::ProcessCPUTime);
    spent.tv_sec as f64 + spent.tv_nsec as f64 / 1e9
}

fn of_template(template: &Template, offered: &[String]) -> bool {
    let offered: Vec<&str> = offered.iter().map(String::as_str).collect();
    template.names();
    Reading::of(template).faults(&offered).is_empty()
}

fn of_expressions(parameters: &std::collections::BTreeMap<String, String>, event: &Value) -> bool {
    let compile = |source: &String| {
        let compiled = Expression::compile(source)?;
        compiled.ensure_known_functions()?;
        let offered = ["account.id", "account.name", "data.text", "data.count"].map(str::to_owned);
        // What is not offered is refused when it is stored, and runs here all the same.
        drop(compiled.check("custom.fuzzed", &offered));
        Ok::<_, billwire_schemas::expression::Fault>(compiled)
    };
    let compiled: Result<Vec<_>, _> =
        parameters.iter().map(|(name, source)| Ok::<_, ()>((name.clone(), Ok(compile(source).map_err(|_| ())?)))).collect();
    let Ok(compiled) = compiled else { return false };
    // As a delivery reads it.
    let body = event.to_string();
    let event: Value = serde_json::from_str(&body).expect("JSON");
    let scope = Scope::of(&event);
    if let Some((_, Ok(filter))) = compiled.first() {
        drop(filter.holds(&scope));
    }
    drop(payload::calculate(&compiled, &scope));
    true
}

/// The number of values in JSON.
fn values(json: &Value) -> usize {
    1 + match json {
        Value::Array(items) => items.iter().map(values).sum(),
        Value::Object(members) => members.values().map(values).sum(),
        _ => 0,
    }
}

async fn of_schema(app: &App, schema: &Value, next: &Value, data: &[Value]) -> bool {
    // The API reads no body with more.
    if values(schema).max(values(next)).max(data.iter().map(values).sum()) > VALUES_MAX {
        return false;
    }
    let tenant = TenantId::default_tenant();
    let caller = Caller::part(tenant, "fuzz", Grant::everything());
    let context = || RequestContext::of(caller.clone());
    let register = |schema: &Value| {
        RegisterEventType(Register {
            id: EventTypeId(fresh()),
            version: 1,
            name: "fuzzed".to_owned(),
            title: "Fuzzed".to_owned(),
            description: None,
            ordering_key: None,
            schema: schema.clone(),
        })
    };
    let accepted = app.execute(context(), register(schema)).await.is_ok();
    if accepted {
        let item = |data: &Value| Submit {
            id: CustomEventId(fresh()),
            kind: "custom.fuzzed".to_owned(),
            account: None,
            key: Some("fuzz".to_owned()),
            subject: None,
            data: data.clone(),
        };
        drop(app.submit_events(context(), data.iter().map(item).collect()).await);
        drop(app.execute(context(), register(next)).await);
        drop(app.execute(context(), DeleteEventType { name: "custom.fuzzed".to_owned(), if_match: None }).await);
    }
    accepted
}

fn of_path(path: &str, base: &str, parameters: &Map<String, Value>) -> bool {
    let Ok(base) = Url::parse(base) else { return false };
    if destination::path_fault(path).is_some() {
        return false;
    }
    let body = json!({ "data": { "parameters": parameters } }).to_string();
    if let Ok(filled) = request::filled_in(path, body.as_bytes()) {
        drop(request::url(&base, Some(&filled)));
    }
    true
}
