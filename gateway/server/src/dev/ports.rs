//! Where the local parts listen. Kept while they are free: the database holds the mailbox's port, bookmarks hold the page's.

use std::{io, net::TcpListener, path::Path};

use serde::{Deserialize, Serialize};

use super::files;

/// First ports tried at the first start. Below the range from which systems lend ports to outgoing connections, so that the
/// kept ones are likely to be free the next time.
const FIRST: Ports = Ports { receiver: 18443, mailbox: 18025, page: 18080 };
/// How many in a row are tried.
const TRIES: u16 = 100;

/// The ports, all on 127.0.0.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ports {
    /// The webhook receiver's.
    pub receiver: u16,
    /// The mailbox's.
    pub mailbox: u16,
    /// The page's.
    pub page: u16,
}

/// Sockets that listen on them.
#[derive(Debug)]
pub struct Listeners {
    /// The webhook receiver's.
    pub receiver: TcpListener,
    /// The mailbox's.
    pub mailbox: TcpListener,
    /// The page's.
    pub page: TcpListener,
}

/// Takes the kept ports, or free ones where there are none or another program has them now, and keeps what it took.
///
/// # Errors
/// One line that names the file that cannot be read, or says that no port is free.
pub fn take(folder: &Path) -> Result<(Ports, Listeners), String> {
    let file = folder.join("ports.json");
    let ring_buffer: Option<Ports> = match files::read(&file)? {
        Some(text) => {
            Some(serde_json::from_str(&text).map_err(|e| format!("{}: {e}; delete it to have other ports chosen", file.display()))?)
        }
        None => None,
    };
    let open = |ring_buffer: Option<u16>, first: u16| {
        let ring_buffer = ring_buffer.and_then(|port| listen(port).ok());
        let in_a_row = || (first..first.saturating_add(TRIES)).find_map(|port| listen(port).ok());
        let listener = ring_buffer.or_else(in_a_row).map_or_else(|| listen(0), Ok);
        listener.and_then(|listener| Ok((listener.local_addr()?.port(), listener))).map_err(|e| format!("no free port on 127.0.0.1: {e}"))
    };
    let receiver = open(ring_buffer.map(|ring_buffer| ring_buffer.receiver), FIRST.receiver)?;
    let mailbox = open(ring_buffer.map(|ring_buffer| ring_buffer.mailbox), FIRST.mailbox)?;
    let page = open(ring_buffer.map(|ring_buffer| ring_buffer.page), FIRST.page)?;
    let ports = Ports { receiver: receiver.0, mailbox: mailbox.0, page: page.0 };
    if ring_buffer != Some(ports) {
        let text = serde_json::to_string_pretty(&ports).map_err(|e| e.to_string())?;
        files::write(&file, text.as_bytes(), files::PUBLIC)?;
    }
    Ok((ports, Listeners { receiver: receiver.1, mailbox: mailbox.1, page: page.1 }))
}

fn listen(port: u16) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(("127.0.0.1", port))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ports_of_the_first_start_are_taken_again_unless_another_program_has_them() {
        let folder = std::env::temp_dir().join(format!("billwire-ports-{}", billwire_schemas::ids::fresh()));
        std::fs::create_dir_all(&folder).unwrap();
        let (first, held) = take(&folder).unwrap();
        let (second, also_held) = take(&folder).unwrap();
        assert!(first.receiver != second.receiver && first.mailbox != second.mailbox && first.page != second.page, "{second:?}");
        drop((held, also_held));
        assert_eq!(take(&folder).unwrap().0, second, "what was taken last is kept");
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
