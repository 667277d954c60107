//! Renders templates as the gateway does: in `billwire sandbox`, a process that may end, but only in the ways that the gateway expects.

use std::{
    io::{Read, Write},
    os::unix::process::ExitStatusExt,
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
};

use billwire_schemas::template::Template;
use billwire_tests::gateway;
use serde_json::{Map, Value, json};

use crate::{DEADLINE, input::Failure};

/// Memory for a template, in MiB; the default of `BILLWIRE_TEMPLATE_MEMORY_MB`.
const MEMORY_MB: &str = "64";
/// How a process ends that exceeds its memory, stack or processor time: SIGABRT, SIGBUS, SIGSEGV, SIGXCPU.
const BOUNDED: [i32; 4] = [6, 7, 11, 24];

/// A worker that is used again until it ends.
#[derive(Default)]
pub struct Sandbox(Option<Worker>);

struct Worker {
    process: Child,
    requests: ChildStdin,
    answers: Receiver<Value>,
}

impl Worker {
    fn start() -> Self {
        let mut command = Command::new(gateway::program());
        command.args(["sandbox", "--memory-mb", MEMORY_MB]).env_clear().env("MIMALLOC_ARENA_EAGER_COMMIT", "0");
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("a sandbox");
        let (requests, mut output) = (process.stdin.take().expect("piped"), process.stdout.take().expect("piped"));
        let (send, answers) = channel();
        thread::spawn(move || {
            let mut length = [0; 4];
            while output.read_exact(&mut length).is_ok() {
                let mut text = vec![0; u32::from_le_bytes(length) as usize];
                if output.read_exact(&mut text).is_err() {
                    return;
                }
                let _ = send.send(serde_json::from_slice(&text).expect("JSON"));
            }
        });
        let worker = Self { process, requests, answers };
        let ready = worker.answers.recv_timeout(DEADLINE).expect("the sandbox is ready");
        assert_eq!(ready, "Ready");
        worker
    }

    /// True if it answered, false if it ended.
    fn render(&mut self, request: &[u8]) -> Result<bool, Failure> {
        let length = u32::try_from(request.len()).expect("small").to_le_bytes();
        if self.requests.write_all(&length).and_then(|()| self.requests.write_all(request)).is_err() {
            return Ok(false);
        }
        loop {
            match self.answers.recv_timeout(DEADLINE) {
                Ok(answer) if answer.get("Ends").is_some() => return Ok(true),
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => return Err(Failure::Hangs),
                Err(RecvTimeoutError::Disconnected) => return Ok(false),
            }
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Sandbox {
    /// Renders a template. That its process ends at a bound is expected.
    pub fn render(&mut self, template: &Template, parameters: &Map<String, Value>) -> Result<(), Failure> {
        let rendering = json!({ "parts": template, "parameters": parameters, "language": "de", "zone": "Europe/Berlin" });
        let request = serde_json::to_vec(&rendering).expect("JSON");
        let mut worker = self.0.take().unwrap_or_else(Worker::start);
        if worker.render(&request)? {
            self.0 = Some(worker);
            return Ok(());
        }
        let status = worker.process.wait().expect("a status");
        if status.signal().is_some_and(|signal| BOUNDED.contains(&signal)) {
            Ok(())
        } else {
            Err(Failure::Aborts(format!("the sandbox: {status}")))
        }
    }
}
