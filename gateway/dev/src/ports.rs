//! The ports of the local parts. They stay the same from start to start, because the database holds the mailbox's port and
//! bookmarks hold the page's.

use std::{io, net::TcpListener, path::Path};

use serde::{Deserialize, Serialize};

use crate::files;

/// The ports tried first at the first start. They are below the ephemeral port range, so that they are likely to be free the next
/// time.
const FIRST: Ports = Ports { receiver: 18443, mailbox: 18025, page: 18080 };
/// How many consecutive ports are tried.
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

/// The listening sockets.
#[derive(Debug)]
pub struct Listeners {
    /// The webhook receiver's.
    pub receiver: TcpListener,
    /// The mailbox's.
    pub mailbox: TcpListener,
    /// The page's.
    pub page: TcpListener,
}

/// Listens on the saved ports. A port that is not saved, or that another program uses now, is replaced by a free one. Saves the result.
///
/// # Errors
/// One line that names the file that cannot be read, or says that no port is free.
pub fn listen(folder: &Path) -> Result<(Ports, Listeners), String> {
    let file = folder.join("ports.json");
    let saved: Option<Ports> = match files::read(&file)? {
        Some(text) => {
            Some(serde_json::from_str(&text).map_err(|e| format!("{}: {e}; delete the file to have other ports chosen", file.display()))?)
        }
        None => None,
    };
    let open = |saved: Option<u16>, first: u16| {
        let saved = saved.and_then(|port| bind(port).ok());
        let in_a_row = || (first..first.saturating_add(TRIES)).find_map(|port| bind(port).ok());
        let listener = saved.or_else(in_a_row).map_or_else(|| bind(0), Ok);
        listener.and_then(|listener| Ok((listener.local_addr()?.port(), listener))).map_err(|e| format!("no free port on 127.0.0.1: {e}"))
    };
    let receiver = open(saved.map(|ports| ports.receiver), FIRST.receiver)?;
    let mailbox = open(saved.map(|ports| ports.mailbox), FIRST.mailbox)?;
    let page = open(saved.map(|ports| ports.page), FIRST.page)?;
    let ports = Ports { receiver: receiver.0, mailbox: mailbox.0, page: page.0 };
    if saved != Some(ports) {
        let text = serde_json::to_string_pretty(&ports).map_err(|e| e.to_string())?;
        files::write(&file, text.as_bytes(), files::PUBLIC)?;
    }
    Ok((ports, Listeners { receiver: receiver.1, mailbox: mailbox.1, page: page.1 }))
}

fn bind(port: u16) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(("127.0.0.1", port))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn saved_ports_are_used_again_unless_another_program_has_them() {
        let folder = std::env::temp_dir().join(format!("billwire-ports-{}", billwire_schemas::ids::fresh()));
        std::fs::create_dir_all(&folder).unwrap();
        let (first, held) = listen(&folder).unwrap();
        let (second, also_held) = listen(&folder).unwrap();
        assert!(first.receiver != second.receiver && first.mailbox != second.mailbox && first.page != second.page, "{second:?}");
        drop((held, also_held));
        assert_eq!(listen(&folder).unwrap().0, second, "the ports used last are saved");
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
