//! Renders tenants' templates in processes of their own.
//!
//! What a template does cannot be bounded from inside the engine: printing or comparing a value that contains itself a million times
//! takes for ever or overflows the stack, a thread cannot be killed, and a stack overflow aborts its process. So the program runs itself
//! as `billwire sandbox` a few times ([`worker`]), each with limits of memory and processor time, and a render that exceeds one ends its
//! process and nothing else. A worker is used again after a render that ended well, and replaced after any other.
//!
//! - A bound of memory, stack or processor time is the template's fault: it fails the same way each time.
//! - A worker that is not ready, or that gets no processor within [`DEADLINE`], is not: the render may be tried again.
//! - No tenant has all workers: with more than one, one is always left to the others.

pub mod worker;

use std::{
    collections::HashMap,
    os::unix::process::ExitStatusExt,
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use billwire_app::Renderer;
use billwire_schemas::{
    ids::TenantId,
    template::{RenderError, Rendered, Rendering},
};
use rustix::process::Signal;
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::{Child, ChildStdin, ChildStdout, Command},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

/// Processor time of one render in seconds; see [`worker`].
const SECONDS_MAX: u64 = 1;
/// Longest a render may take by the clock on the wall. Far more than its processor time: on a busy machine it waits for its turn.
const DEADLINE: Duration = Duration::from_secs(30);
/// Longest a render waits for a worker.
const WAIT: Duration = Duration::from_secs(30);
/// Longest a worker takes to be ready.
const START: Duration = Duration::from_secs(30);
/// Most bytes of a request: a template and the parameters of an event, as JSON.
const REQUEST_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Most bytes of an answer: three parts of [`billwire_schemas::template::PART_BYTES_MAX`], as JSON, which may take six bytes for one.
const ANSWER_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Signals of a process that got no more memory or stack, and of one that used up its time.
const OUT_OF_MEMORY: [Signal; 3] = [Signal::ABORT, Signal::BUS, Signal::SEGV];
const OUT_OF_TIME: Signal = Signal::XCPU;

/// What a worker says.
#[derive(Debug, Serialize, Deserialize)]
enum Told {
    /// It takes requests.
    Ready,
    /// It begins with this part.
    Begins(String),
    /// It is done.
    Ends(Result<Rendered, RenderError>),
}

/// A worker process.
struct Worker {
    child: Child,
    requests: ChildStdin,
    answers: ChildStdout,
}

/// Why a worker gave no answer.
enum Lost {
    /// It said something else, or its end is not known.
    Broken(String),
    /// It ended.
    Ended(ExitStatus),
    /// It did not answer in time.
    Late,
}

impl Worker {
    async fn start(memory_mb: u64) -> Result<Self, String> {
        // The program as it runs, also where an upgrade has replaced its file.
        let linux = std::path::Path::new("/proc/self/exe");
        let program = if linux.exists() { linux.to_owned() } else { std::env::current_exe().map_err(|e| e.to_string())? };
        let mut command = Command::new(program);
        command.args(["sandbox", "--memory-mb", &memory_mb.to_string()]).env_clear().current_dir("/");
        // The allocator would take a gigabyte of address space in advance, whatever its limit.
        command.env("MIMALLOC_ARENA_EAGER_COMMIT", "0");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        let mut child = command.spawn().map_err(|error| format!("the sandbox cannot be started: {error}"))?;
        let (Some(requests), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("the sandbox cannot be spoken to".to_owned());
        };
        let mut worker = Self { child, requests, answers };
        match timeout(START, worker.hear()).await {
            Ok(Ok(Told::Ready)) => Ok(worker),
            _ => Err("the sandbox did not start; BILLWIRE_TEMPLATE_MEMORY_MB may be too little".to_owned()),
        }
    }

    async fn hear(&mut self) -> Result<Told, String> {
        let length = self.answers.read_u32_le().await.map_err(|error| error.to_string())? as usize;
        if length > ANSWER_BYTES_MAX {
            return Err(format!("an answer of {length} bytes"));
        }
        let mut told = vec![0; length];
        self.answers.read_exact(&mut told).await.map_err(|error| error.to_string())?;
        serde_json::from_slice(&told).map_err(|error| error.to_string())
    }

    /// Has one request answered; `part` is set to the part that is being rendered.
    async fn ask(&mut self, request: &[u8], part: &mut String) -> Result<Result<Rendered, RenderError>, String> {
        let length = u32::try_from(request.len()).map_err(|error| error.to_string())?;
        self.requests.write_u32_le(length).await.map_err(|error| error.to_string())?;
        self.requests.write_all(request).await.map_err(|error| error.to_string())?;
        loop {
            match self.hear().await? {
                Told::Ends(rendered) => return Ok(rendered),
                Told::Begins(next) => *part = next,
                Told::Ready => return Err("ready twice".to_owned()),
            }
        }
    }

    /// Ends it, and says why it was lost.
    async fn end(mut self, error: String) -> Lost {
        // One that closed its output is about to end by itself, and how it ends is what is asked for.
        match timeout(Duration::from_secs(5), self.child.wait()).await {
            Ok(Ok(status)) => Lost::Ended(status),
            _ => {
                let _ = self.child.kill().await;
                Lost::Broken(error)
            }
        }
    }
}

/// The workers.
pub struct Sandbox {
    memory_mb: u64,
    workers: usize,
    places: Arc<Semaphore>,
    idle: Mutex<Vec<Worker>>,
    shares: Mutex<HashMap<TenantId, Arc<Semaphore>>>,
}

impl Sandbox {
    /// Up to `workers` processes, each with `memory_mb` MiB for a template. They start when they are needed.
    pub fn new(workers: usize, memory_mb: u64) -> Self {
        let workers = workers.max(1);
        let places = Arc::new(Semaphore::new(workers));
        Self { memory_mb, workers, places, idle: Mutex::default(), shares: Mutex::default() }
    }

    /// The tenant's place among its own, then one among all.
    async fn place(&self, tenant: &TenantId) -> Result<(OwnedSemaphorePermit, OwnedSemaphorePermit), String> {
        let share = {
            let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
            // Kept for as long as someone waits for it or holds a part of it.
            shares.retain(|known, share| known == tenant || Arc::strong_count(share) > 1);
            let new = || Arc::new(Semaphore::new(self.workers.saturating_sub(1).max(1)));
            shares.entry(tenant.clone()).or_insert_with(new).clone()
        };
        let both = async { Ok((share.acquire_owned().await?, self.places.clone().acquire_owned().await?)) };
        let waited: Result<Result<_, tokio::sync::AcquireError>, _> = timeout(WAIT, both).await;
        waited.map_err(|_| "too many templates are being rendered".to_owned())?.map_err(|error| error.to_string())
    }

    async fn tried(&self, request: &[u8], part: &mut String) -> Result<Result<Result<Rendered, RenderError>, Lost>, String> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut worker = match idle {
            Some(worker) => worker,
            None => Worker::start(self.memory_mb).await?,
        };
        Ok(match timeout(DEADLINE, worker.ask(request, part)).await {
            Ok(Ok(rendered)) => {
                self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(worker);
                Ok(rendered)
            }
            Ok(Err(error)) => Err(worker.end(error).await),
            Err(_) => {
                let _ = worker.child.kill().await;
                Err(Lost::Late)
            }
        })
    }
}

#[async_trait]
impl Renderer for Sandbox {
    async fn render(&self, tenant: &TenantId, rendering: Rendering) -> Result<Result<Rendered, RenderError>, String> {
        let refused = |part: &str, message: String| Ok(Err(RenderError { part: part.to_owned().into(), line: None, message }));
        let request = serde_json::to_vec(&rendering).map_err(|error| error.to_string())?;
        if request.len() > REQUEST_BYTES_MAX {
            return refused("text", format!("template and parameters are longer than {} MiB", REQUEST_BYTES_MAX >> 20));
        }
        let _place = self.place(tenant).await?;
        let mut part = "subject".to_owned();
        let mut again = false;
        loop {
            let lost = match self.tried(&request, &mut part).await? {
                Ok(rendered) => return Ok(rendered),
                Err(lost) => lost,
            };
            let bound = match &lost {
                Lost::Ended(status) if status.signal() == Some(OUT_OF_TIME.as_raw()) => {
                    format!("more than {SECONDS_MAX} s of processor time")
                }
                Lost::Ended(status) if OUT_OF_MEMORY.iter().any(|signal| status.signal() == Some(signal.as_raw())) => {
                    format!("more memory than {} MiB, or values nested too deeply", self.memory_mb)
                }
                Lost::Late => return Err(format!("the template was not rendered within {} s; the machine is busy", DEADLINE.as_secs())),
                // Someone else may have ended it, or it had been ill before: whoever comes next in line does not suffer for that.
                _ if !again => {
                    again = true;
                    continue;
                }
                Lost::Ended(status) => format!("its process with it ({status})"),
                Lost::Broken(error) => format!("its process with it ({error})"),
            };
            tracing::warn!(%tenant, part, bound, "a template exceeded its bounds and its render was ended");
            return refused(&part, format!("the template took {bound}"));
        }
    }
}
