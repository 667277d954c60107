//! The process that renders: `billwire sandbox`. It answers requests from its standard input on its standard output, one after the other,
//! and ends with its input. It knows no secret, opens nothing and is allowed little; whatever a template does to it, it does to this
//! process alone.

use std::{
    io::{self, Read, Write},
    process::ExitCode,
    thread,
};

use billwire_schemas::template::Rendering;
use rustix::{
    process::{Resource, Rlimit, getrlimit, setrlimit},
    time::{ClockId, clock_gettime},
};

use super::Told;

/// Stack to render with: values nested within each other cost it, level by level.
const STACK_BYTES: usize = 64 * 1024 * 1024;
/// What the program itself needs besides what a template may take.
const OWN_BYTES: u64 = 64 * 1024 * 1024;

/// Serves until standard input ends. `memory` is how many bytes a template may take.
pub fn serve(memory: u64) -> ExitCode {
    // Where the machine itself runs out of memory, this process goes first; where the system does not know of that, nothing is lost.
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    let limited = limit(Resource::Core, 0)
        .and_then(|()| limit(Resource::Fsize, 0))
        .and_then(|()| limit(Resource::Data, memory + OWN_BYTES + STACK_BYTES as u64));
    if limited.is_err() {
        return ExitCode::FAILURE;
    }
    let serving = thread::Builder::new().stack_size(STACK_BYTES).spawn(|| answer_all(&mut io::stdin().lock(), &mut io::stdout().lock()));
    match serving.map(thread::JoinHandle::join) {
        Ok(Ok(Ok(()))) => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

/// Whoever started the gateway may have set a limit below; nobody can raise that.
fn limit(resource: Resource, at: u64) -> rustix::io::Result<()> {
    let at = getrlimit(resource).maximum.map_or(at, |most| most.min(at));
    setrlimit(resource, Rlimit { current: Some(at), maximum: Some(at) })
}

fn answer_all(requests: &mut impl Read, answers: &mut impl Write) -> io::Result<()> {
    tell(answers, &Told::Ready)?;
    let mut length = [0; 4];
    loop {
        match requests.read_exact(&mut length) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            read => read?,
        }
        let mut request = vec![0; u32::from_le_bytes(length) as usize];
        requests.read_exact(&mut request)?;
        let rendering: Rendering = serde_json::from_slice(&request)?;
        drop(request);
        limit_time()?;
        let mut told = Ok(());
        let rendered = rendering.run(|part| {
            if told.is_ok() {
                told = tell(answers, &Told::Begins(part.to_owned()));
            }
        });
        told?;
        tell(answers, &Told::Ends(rendered))?;
    }
}

/// From now on, [`super::SECONDS_MAX`] of processor time, and up to a second more: the system counts whole seconds since the start.
fn limit_time() -> io::Result<()> {
    let used = clock_gettime(ClockId::ProcessCPUTime).tv_sec.unsigned_abs();
    let maximum = getrlimit(Resource::Cpu).maximum;
    let wanted = used + super::SECONDS_MAX + 1;
    setrlimit(Resource::Cpu, Rlimit { current: Some(maximum.map_or(wanted, |most| most.min(wanted))), maximum })?;
    Ok(())
}

fn tell(answers: &mut impl Write, told: &Told) -> io::Result<()> {
    let told = serde_json::to_vec(told)?;
    let length = u32::try_from(told.len()).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
    answers.write_all(&length.to_le_bytes())?;
    answers.write_all(&told)?;
    answers.flush()
}
